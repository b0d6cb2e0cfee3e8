"""What was searched, on which data, and what several data sets have in common, in sentences."""

from analysis.judge.across import Across
from analysis.report.facts import StudyFacts
from analysis.report.sentences import list_seeds
from analysis.report.tables import number
from stacnet.data.shifted import blind_ceiling
from stacnet.data_spec import Digits, ScaleSignal, ShiftedLayouts


def data_sentence(facts: StudyFacts) -> str:
    """What the data can and cannot show."""
    data = facts.study.protocol.data
    if isinstance(data, Digits):
        return (
            "The data is scikit-learn's digits, 1,797 images of 8x8 pixels: it shows that the "
            "machinery runs on real images, and is too small to rank anything."
        )
    if isinstance(data, ScaleSignal):
        return (
            f"The data is procedural, so its truth is known: classes are layouts of gratings on "
            f"{data.grid}x{data.grid} cells, which pooling to fewer cells makes indistinguishable."
        )
    if isinstance(data, ShiftedLayouts):
        return (
            f"The data is procedural, so its truth is known: classes are layouts of {data.pattern} "
            f"patches on {data.grid}x{data.grid} cells, shifted by every shift; what does not see "
            f"the layout reaches {blind_ceiling(data):.1%} at most."
        )
    return f"The data is {data.name}."


def study_sentence(facts: StudyFacts) -> str:
    """What was searched."""
    study, comparison = facts.study, facts.comparison
    base = study.space.base
    size = f"{base.input_size}x{base.input_size}"
    text = (
        f"The network is {base.title} on {size} "
        f"images; {study.space.size()} settings of attention, {study.protocol.epochs} epochs each."
    )
    if comparison is None:
        return text
    return (
        f"{text} {comparison.trained} of {comparison.networks} distinct networks are trained. "
        f"The best is selected with {list_seeds(comparison.seeds_a)} and measured with "
        f"{list_seeds(comparison.seeds_b)}; stac status takes the mean over all of them, and "
        f"may name another network."
    )


def across_sentence(across: Across) -> str:
    """Whether several data sets rank placements alike."""
    value = number(across.agreement, digits=2)
    return (
        f"Two of these data sets rank the placements that they share with a tau of {value} on "
        "average. At 1 a fixed list would do as well as any look at a network; the further below, "
        "the more there is to know about each data set."
    )
