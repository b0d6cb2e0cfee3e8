"""The words of a report: the answer in two sentences, what it cost, and the checklist."""

from analysis.judge.across import StaticRank
from analysis.judge.agreement import Interval
from analysis.judge.comparison import Comparison
from analysis.judge.judged import Judged, Network


def scales_text(network: Network | StaticRank) -> str:
    """Scale per stage, such as "off, 4, 4"."""
    return ", ".join(str(scale) if scale else "off" for scale in network.scales)


def percent(value: float, *, digits: int = 1) -> str:
    """A share as a percentage; a dash if it is missing."""
    return f"{_plain(100 * value, digits)} %" if value == value else "\N{EN DASH}"


def _plain(value: float, digits: int = 1) -> str:
    """Rounded, without a minus zero."""
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "\N{MINUS SIGN}")


def _p(value: float) -> str:
    """A p-value."""
    return f"p {value:.3f}" if value >= 0.0005 else "p < 0.001"


def points(interval: Interval) -> str:
    """A difference in percentage points with its interval."""
    if interval.value != interval.value:
        return "not measured"
    text = f"{_plain(100 * interval.value)} points"
    if interval.low != interval.low:
        return f"{text} ({count_seeds(interval.n)}, no interval)"
    low, high = (_plain(100 * v) for v in interval[1:3])
    return f"{text} (95 % interval {low} to {high}, {count_seeds(interval.n)})"


def summary(comparison: Comparison) -> tuple[str, ...]:
    """What a comparison says: the answer, where the pick lies, what it cost, what is missing."""
    return (
        *answer(comparison),
        certainty_sentence(comparison.primary),
        ranking_sentence(comparison.primary),
        place_sentence(comparison.primary, comparison.trained),
        cost_sentence(comparison),
        *comparison.missing,
    )


def answer(comparison: Comparison) -> tuple[str, str]:
    """What came out, in two sentences with numbers."""
    pick, best = comparison.primary, comparison.best
    first = (
        f"Rule {comparison.primary_rule}, fixed before the search, picks scales "
        f"{scales_text(pick.network)}, which reach {percent(pick.network.accuracy.value)} "
        f"{comparison.metric}; the best that the search found with "
        f"{list_seeds(comparison.seeds_a)} ({scales_text(best)}) reaches "
        f"{percent(best.accuracy.value)}, so the regret is {points(pick.regret)}."
    )
    if pick.network.accuracy.value != pick.network.accuracy.value:
        first = (
            f"Rule {comparison.primary_rule}, fixed before the search, picks scales "
            f"{scales_text(pick.network)}, which are not trained yet, so there is no regret."
        )
    return first, _second(comparison)


def _second(comparison: Comparison) -> str:
    twins = [
        other.name
        for other in comparison.judged[1:]
        if other.family in ("control", "reference")
        and other.network.network_id == comparison.primary.network.network_id
    ]
    copied = f"The same network is picked by {_list(twins)}" if twins else ""
    verdict = comparison.primary.verdict.reason
    if not copied:
        gain = next((c for c in comparison.contrasts if c.label == "pick minus vanilla"), None)
        lead = f"Over vanilla it gains {points(gain.difference)}" if gain else "Vanilla is missing"
        return f"{lead}; {_lower(verdict)}"
    return f"{copied}, so this result alone does not speak for the trained map; {_lower(verdict)}"


def certainty_sentence(judged: Judged) -> str:
    """How often the rule would pick the same network."""
    if judged.pick_probability is None:
        return "How sure the rule is of its pick was not computed (stac classrepsim does)."
    return (
        f"With other probe images and vanilla networks the rule picks the same network in "
        f"{100 * judged.pick_probability:.0f} % of draws."
    )


def ranking_sentence(judged: Judged) -> str:
    """Whether the scores rank networks, and what tau would have shown it."""
    if judged.tau.value != judged.tau.value:
        return "Its scores cannot be compared with the networks' ranks."
    tau = f"tau {_plain(judged.tau.value, 2)}, {_p(judged.ranking_p)}"
    needed = f"random maps alone reach {judged.tau_needed:.2f} in 2.5 % of cases here"
    match judged.verdict.ranking:
        case "predicts":
            return f"Its scores rank the networks ({tau}; {needed}).{_on_scales(judged)}"
        case "misleads":
            return f"Its scores rank the networks the wrong way round ({tau}; {needed})."
        case "not told apart from a random map":
            return f"Its scores are not told apart from a random map ({tau}; {needed})."
        case _:
            return f"Whether its scores rank networks is undecided ({tau}; {needed})."


def _on_scales(judged: Judged) -> str:
    p = judged.tau_p_on_scales
    if p != p:
        return ""
    how = f"(scales dealt anew, off stays off: {_p(p)})"
    if p < 0.05:
        return f" They know scales, not only that some attention helps {how}."
    return f" Whether they know scales, or only that some attention helps, cannot be told {how}."


def _random(trainings: int) -> str:
    return "one random training" if trainings == 1 else f"the best of {trainings} random trainings"


def place_sentence(judged: Judged, trained: int) -> str:
    """Regret, percentile and trials-to-match in a sentence."""
    if not judged.regret.n:
        return "The pick was not trained with the seeds that judge, so it cannot be placed."
    match = judged.trials_to_match
    return (
        f"The pick's regret is {points(judged.regret)}; it is at least as good as "
        f"{judged.percentile.value:.0f} % of the {trained} trained networks, and a random search "
        f"would need {match:.1f} trials on average to find something as good."
        f"{_bound(judged)}{_ties(judged)}"
    )


def _bound(judged: Judged) -> str:
    if judged.regret_bound != judged.regret_bound:
        return ""
    return (
        " The best found need not be the best: some network may be up to "
        f"{100 * judged.regret_bound:.1f} points above the pick (95 %)."
    )


def _ties(judged: Judged) -> str:
    if judged.tied_picks < 2:
        return ""
    return (
        f" {judged.tied_picks} networks share its highest score; the cheapest is its pick, and "
        f"their mean regret is {100 * judged.regret_over_ties:.1f} points."
    ).replace("-", "\N{MINUS SIGN}")


def cost_sentence(comparison: Comparison) -> str:
    """What both sides cost, and where they break even."""
    costs = comparison.costs
    return (
        f"The search took {seconds(costs.search_s)} of device time for {costs.cells} trainings. "
        f"ClassRepSim took {seconds(costs.prediction_s)}: {seconds(costs.vanilla_s)} to train the "
        f"vanilla networks and {seconds(costs.look_s)} for all maps with their controls. That is "
        f"{comparison.primary.cost_ratio:.1f} times less than the search, and as much as "
        f"{comparison.primary.break_even_trials:.1f} trainings."
        f"{_equal_cost(comparison)}"
    )


def _equal_cost(comparison: Comparison) -> str:
    same = comparison.equal_cost
    if same is None or same.accuracy != same.accuracy:
        return ""
    return (
        f" For the same price, {_random(same.trainings)} reaches "
        f"{percent(same.accuracy)} on average; the pick "
        f"{percent(comparison.primary.network.accuracy.value)}."
    )


def seconds(value: float) -> str:
    """A duration in a unit that suits it."""
    if value >= 7200:
        return f"{value / 3600:,.1f} hours"
    return f"{value:,.0f} s" if value >= 10 else f"{value:.1f} s"


def count_seeds(count: int) -> str:
    """Such as "1 seed" or "5 seeds"."""
    return f"{count} seed{'' if count == 1 else 's'}"


def _list(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def ceiling_sentence(comparison: Comparison) -> str:
    """What a perfect predictor could reach."""
    ceiling = comparison.noise_ceiling.value
    if ceiling != ceiling:
        return "With one seed there is no noise ceiling."
    return (
        f"A perfect predictor would reach a tau of {ceiling:.2f} here, as far as two halves of the "
        "seeds rank networks alike."
    )


def list_seeds(values: tuple[int, ...]) -> str:
    """Such as "seeds 0, 1"."""
    return f"seed{'' if len(values) == 1 else 's'} {', '.join(map(str, values))}"
