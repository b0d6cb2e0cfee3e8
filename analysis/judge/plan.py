"""What a study can show, said before it is run: the tau and the difference its seeds resolve."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.stats import nct, t

from analysis.judge.nulls import detectable_tau
from analysis.judge.verdict import ALPHA, FEWEST
from search.study.networks import Networks, num_networks, num_trainings
from search.study.seeds import split_seeds
from search.study.study import Study

POWER = 0.8


@dataclass(frozen=True, kw_only=True)
class Power:
    """What the design of a study allows to be said.

    Args:
        networks, trainings: of the study.
        seeds_a, seeds_b: how many select, and how many measure.
        tau: random maps alone exceed it in 2.5 % of cases, whatever the seeds: a rule whose |tau|
            is below that is not told apart from them. NaN if all networks are alike.
        difference: between two networks that a t-test on seeds B sees with 80 % power, in
            standard deviations of a paired difference; NaN for fewer than two seeds B.
        margin: of equivalence, share.
    """

    study: str
    networks: int
    trainings: int
    seeds_a: int
    seeds_b: int
    tau: float
    difference: float
    margin: float


def power_of(study: Study, among: Networks) -> Power:
    """The same for every study with these networks and seeds: nothing is trained."""
    seeds_a, seeds_b, _ = split_seeds(study.seeds, study.seeds)
    rng = np.random.default_rng(0)
    trained = rng.permutation(len(among))[: num_networks(study, among)]
    return Power(
        study=study.name,
        networks=len(trained),
        trainings=num_trainings(study, among),
        seeds_a=len(seeds_a),
        seeds_b=len(seeds_b),
        tau=detectable_tau(among.cells_NT[trained], level=ALPHA),
        difference=resolved_difference(len(seeds_b)),
        margin=study.margin,
    )


def resolved_difference(seeds: int, *, power: float = POWER) -> float:
    """The difference a two-sided 5 % paired t-test sees with this power, in deviations of a pair.

    The inverse of `seeds_needed`. NaN for fewer than two seeds.
    """
    if seeds < 2:
        return float("nan")
    critical = t.ppf(0.975, seeds - 1)

    def lacking(difference: float) -> float:
        return float(nct.sf(critical, seeds - 1, difference * np.sqrt(seeds))) - power

    return float(np.asarray(brentq(lacking, 1e-6, 60 / np.sqrt(seeds))))


def power_sentences(power: Power) -> list[str]:
    """What the numbers mean, a sentence a line."""
    seeds = power.seeds_a + power.seeds_b
    sentences = [
        f"{power.networks} networks, {power.trainings} trainings; {power.seeds_a} of the seeds "
        f"select, {power.seeds_b} measure.",
        f"Ranking: a rule needs |tau| > {power.tau:.2f} to be told apart from a random map, "
        "whatever the seeds; other predictors need more, since they are corrected for their number."
        if power.tau == power.tau
        else "Ranking: there is nothing to rank.",
    ]
    if seeds < FEWEST or power.difference != power.difference:
        return [*sentences, f"Choice: no verdict, which takes at least {FEWEST} seeds."]
    largest = power.margin / power.difference
    return [
        *sentences,
        f"Choice: two networks are told apart at {power.difference:.1f} standard deviations of a "
        f"paired difference (80 % power): the margin of {100 * power.margin:g} points, if that "
        f"deviation is at most {100 * largest:.2g} points. The test images add their own error.",
    ]
