"""Verdicts: what the numbers allow to be said, and how many seeds are needed if they do not."""

import math
from dataclasses import dataclass

from analysis.judge.agreement import Interval, seeds_needed
from analysis.judge.judged import Choice, Ranking, Verdict

ALPHA = 0.025  # of the ranking: a useless primary rule gets a word in at most 2.5 % of studies
EQUIVALENT = 0.05  # of the choice, TOST
ONE_SIDED = 0.025  # of the choice: the ends of the 95 % interval
FEWEST = 3  # seeds in all: with fewer there is no verdict, whatever the numbers
RANDOM = "not told apart from a random map"


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What a verdict rests on; every p is corrected already where it must be.

    Args:
        tau, ranking_p: rank agreement and its p under a predictor that knows nothing.
        regret: of the pick, on seeds B.
        equivalence_p, within_p, loss_p: TOST with the margin; that it is not within the margin;
            that there is no loss.
        images_width: half width that the test images alone leave, at any number of seeds.
        sd: of a paired difference between two networks.
        margin: of equivalence.
        num_seeds: of the whole study, A and B.
    """

    tau: float
    ranking_p: float
    regret: Interval
    equivalence_p: float
    within_p: float
    loss_p: float
    images_width: float
    sd: float
    margin: float
    num_seeds: int


def verdict(evidence: Evidence) -> Verdict:
    """Judge one predictor."""
    regret, margin = evidence.regret, evidence.margin
    needed = None if math.isnan(evidence.sd) else max(2, seeds_needed(evidence.sd, margin))
    trained = not math.isnan(regret.value)
    if evidence.num_seeds < FEWEST or (regret.n < 2 and trained):
        return Verdict(
            ranking="undecided",
            choice="undecided",
            seeds_needed=needed,
            reason=_too_few(evidence.num_seeds, needed, margin),
        )
    choice = _choice(evidence)
    return Verdict(
        ranking=_ranking(evidence.tau, evidence.ranking_p),
        choice=choice,
        seeds_needed=needed,
        reason=_reason(choice, evidence, needed),
    )


def _ranking(tau: float, p: float) -> Ranking:
    if math.isnan(tau) or math.isnan(p):
        return "undecided"
    if p > ALPHA:
        return RANDOM
    return "predicts" if tau > 0 else "misleads"


def _choice(evidence: Evidence) -> Choice:
    regret = evidence.regret
    if math.isnan(regret.value) or regret.n < 2:
        return "undecided"
    if evidence.equivalence_p < EQUIVALENT or evidence.within_p < ONE_SIDED:
        return "competitive"
    if evidence.loss_p < ONE_SIDED and regret.value > evidence.margin:
        return "worse"
    return "undecided"


def _too_few(num_seeds: int, needed: int | None, margin: float) -> str:
    count = "one seed" if num_seeds == 1 else f"{num_seeds} seeds"
    if needed is None:
        return f"No verdict: {count} cannot show how much accuracy varies between seeds."
    return (
        f"No verdict from {count}: seeing a difference of {_points(margin)} needs "
        f"{count_of_seeds(needed)} seeds per network that selected nothing, beside those that "
        "select the best."
    )


def _reason(choice: Choice, evidence: Evidence, needed: int | None) -> str:
    regret, points = evidence.regret, _points(evidence.margin)
    match choice:
        case "competitive":
            return f"The pick is at most {points} below the best found (5 % level)."
        case "worse":
            return f"The pick is below the best found, by more than {points} as measured."
        case "undecided" if math.isnan(regret.value):
            return "The pick was not trained with the seeds that judge."
        case _:
            more = _what_would_decide(evidence, needed)
            return f"The interval neither excludes nor shows a loss of {points}; {more}"


def _what_would_decide(evidence: Evidence, needed: int | None) -> str:
    loss, margin = evidence.regret.value, evidence.margin
    count, here = count_of_seeds(needed), f"here are {evidence.regret.n}"
    if evidence.images_width > margin:
        left = _points(round(evidence.images_width, 4))
        return f"no number of seeds would: the test images alone leave an error of {left}."
    if 0.5 * margin <= loss <= margin:
        return (
            f"a loss so near the margin stays a coin toss ({count} seeds per network would decide, "
            f"were there none; {here})."
        )
    return f"{count} seeds per network would, {here}."


def _points(share: float) -> str:
    value = f"{100 * share:g}"
    return f"{value} point" if value == "1" else f"{value} points"


def count_of_seeds(needed: int | None) -> str:
    """How many seeds, in words; a number that nobody will train is not given as one."""
    if needed is None:
        return "an unknown number of"
    return str(needed) if needed <= 1000 else "more than 1,000"
