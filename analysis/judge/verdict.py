"""Verdicts: what the numbers allow to be said, and how many seeds are needed if they do not."""

import math
from dataclasses import dataclass

from analysis.judge.agreement import Interval, seeds_needed
from analysis.judge.comparison import Choice, Ranking, Verdict

ALPHA = 0.025  # of the ranking: two-sided, so a useless predictor is called so in 97.5 % of studies
EQUIVALENT = 0.05  # of the choice
FEWEST = 3  # seeds in all: with fewer there is no verdict, whatever the numbers


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What a verdict rests on.

    Args:
        tau, ranking_p: rank agreement and its p under a random predictor.
        regret, equivalence_p: of the pick, on seeds B, and TOST with the margin.
        sd: of a paired difference between two networks.
        margin: of equivalence.
        num_seeds: of the whole study, A and B.
    """

    tau: float
    ranking_p: float
    regret: Interval
    equivalence_p: float
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
    choice = _choice(regret, evidence.equivalence_p, margin)
    return Verdict(
        ranking=_ranking(evidence.tau, evidence.ranking_p),
        choice=choice,
        seeds_needed=needed,
        reason=_reason(choice, regret, margin, needed),
    )


def _ranking(tau: float, p: float) -> Ranking:
    if math.isnan(tau) or math.isnan(p):
        return "undecided"
    if p > ALPHA:
        return "no better than chance"
    return "predicts" if tau > 0 else "misleads"


def _choice(regret: Interval, equivalence_p: float, margin: float) -> Choice:
    if math.isnan(regret.value) or regret.n < 2:
        return "undecided"
    if equivalence_p < EQUIVALENT or regret.high < margin:
        return "competitive"
    if regret.low > 0 and regret.value > margin:
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


def _reason(choice: Choice, regret: Interval, margin: float, needed: int | None) -> str:
    points = _points(margin)
    match choice:
        case "competitive":
            return f"The pick is at most {points} below the best found (5 % level)."
        case "worse":
            return f"The pick is below the best found, by more than {points} as measured."
        case "undecided" if math.isnan(regret.value):
            return "The pick was not trained with the seeds that judge."
        case _:
            return (
                f"The interval neither excludes nor shows a loss of {points}; "
                f"{count_of_seeds(needed)} seeds per network would, here are {regret.n}."
            )


def _points(share: float) -> str:
    value = f"{100 * share:g}"
    return f"{value} point" if value == "1" else f"{value} points"


def count_of_seeds(needed: int | None) -> str:
    """How many seeds, in words; a number that nobody will train is not given as one."""
    if needed is None:
        return "an unknown number of"
    return str(needed) if needed <= 1000 else "more than 1,000"
