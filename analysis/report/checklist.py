"""The checklist of good practice in architecture search, each line answered from the facts."""

from collections.abc import Iterator
from dataclasses import dataclass

from analysis.judge.comparison import Comparison
from analysis.judge.verdict import count_of_seeds
from analysis.report.facts import StudyFacts
from analysis.report.sentences import count_seeds


@dataclass(frozen=True, kw_only=True)
class Check:
    """One line of the checklist of good practice."""

    item: str
    answer: str
    done: bool


def checklist(facts: StudyFacts) -> list[Check]:
    """Good practice of the field, each line answered.

    After Lindauer & Hutter (2019), Yang et al. (2019), Yu et al. (2019), Li & Talwalkar (2019).
    """
    return [*_design_checks(facts), *_result_checks(facts), *_record_checks(facts)]


def _design_checks(facts: StudyFacts) -> Iterator[Check]:
    comparison, study = facts.comparison, facts.study
    yield _check(
        "The rule that is judged was fixed before the search.",
        f"Yes: {study.primary_rule}, part of the study's hash.",
    )
    yield _check(
        "All networks are trained with one recipe.",
        f"Yes: protocol {study.protocol.protocol_id}, {study.protocol.epochs} epochs.",
    )
    finished = bool(comparison and comparison.costs.cells >= comparison.planned_cells)
    yield _check(
        "The whole space is known, so the best is the best.",
        "Yes: every network is trained." if finished else "Not yet, or the space is sampled.",
        done=finished,
    )
    separate = bool(comparison and not set(comparison.seeds_a) & set(comparison.seeds_b))
    yield _check(
        "Selection and measurement use different seeds.",
        "Yes." if separate else "No: there are not enough seeds.",
        done=separate,
    )
    tested = bool(comparison and comparison.metric.startswith("test"))
    yield _check(
        "Selection is on validation data, reporting on test data.",
        "Yes." if tested else "No test accuracy is stored.",
        done=tested,
    )


def _result_checks(facts: StudyFacts) -> Iterator[Check]:
    comparison = facts.comparison
    names = {j.name for j in comparison.judged} if comparison else set()
    seeds = len({*comparison.seeds_a, *comparison.seeds_b}) if comparison else 0
    decided = bool(comparison and comparison.primary.verdict.choice != "undecided")
    yield _check(
        "Enough seeds for the claim.", f"{count_seeds(seeds)}; {_needed(comparison)}", done=decided
    )
    yield _check(
        "A random search is a baseline.",
        "Yes, exact by enumeration, and replayed." if comparison else "Not yet.",
        done=bool(comparison),
    )
    trivial = {"parameters", "MACs"} <= names
    yield _check(
        "Trivial predictors are baselines: parameters, MACs, one scale everywhere.",
        "Yes." if trivial else "Not yet.",
        done=trivial,
    )
    yield _check(
        "Controls without learning: untrained network, pixels, permuted labels and layout.",
        "Yes, beside the map." if facts.chart else "Not yet.",
        done=bool(facts.chart),
    )


def _record_checks(facts: StudyFacts) -> Iterator[Check]:
    comparison = facts.comparison
    yield _check(
        "Costs of both sides are in one unit, the predictor's own training included.",
        "Yes, device seconds." if comparison else "Not yet.",
        done=bool(comparison),
    )
    yield _check("Failed and stopped runs count as cost.", "Yes, every attempt is a row.")
    yield _check(
        "Comparisons beside the primary one are corrected.",
        "Yes, Holm; the margin of equivalence "
        f"({100 * facts.study.margin:g} points) is part of the study.",
    )
    yield _check(
        "Everything needed to repeat it is stored.",
        f"Yes: study {facts.provenance.study_id}, versions and machines below.",
    )


def _check(item: str, answer: str, *, done: bool = True) -> Check:
    return Check(item=item, answer=answer, done=done)


def _needed(comparison: Comparison | None) -> str:
    if comparison is None:
        return "nothing is compared yet."
    needed = comparison.primary.verdict.seeds_needed
    margin = 100 * comparison.margin
    if needed is None:
        return "how many are needed cannot be told from these."
    return f"{count_of_seeds(needed)} that only measure are needed to see {margin:g} points."
