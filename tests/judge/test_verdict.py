"""Verdicts on simulated studies whose truth is planted."""

import itertools

import numpy as np
import pytest

from analysis.judge.agreement import Interval, paired_sd
from analysis.judge.errors import measured
from analysis.judge.ranks import tau, tau_p
from analysis.judge.verdict import RANDOM, Evidence, verdict

pytestmark = pytest.mark.slow  # takes seconds

NAN = float("nan")


def judged(score, truth, rng, *, sd: float = 0.002, seeds: int = 20):
    """The verdict on one simulated study: 5 seeds select, `seeds` measure."""
    select = truth + rng.normal(0, sd / 5**0.5, len(truth))
    measure = truth[:, None] + rng.normal(0, sd, (len(truth), seeds))
    pick, best = int(np.argmax(score)), int(np.argmax(select))
    loss = measured(measure[best] - measure[pick])
    mean = measure.mean(1)
    found = verdict(
        Evidence(
            tau=tau(score, mean),
            ranking_p=tau_p(score, mean),
            regret=loss.interval,
            equivalence_p=loss.equivalence_p(0.003),
            within_p=loss.above_p(0.003),
            loss_p=loss.below_p(0.0),
            images_width=0.0,
            sd=paired_sd(measure),
            margin=0.003,
            num_seeds=seeds + 5,
        )
    )
    return found, truth[best] - truth[pick]


def check_verdicts(draws: int) -> None:
    rng = np.random.default_rng(0)
    right = {"perfect": 0, "useless": 0, "anti": 0}
    for _ in range(draws):
        truth = 0.6 + 0.01 * rng.standard_normal(64)
        for kind, score, ranking in (
            ("perfect", truth, "predicts"),
            ("useless", rng.standard_normal(64), RANDOM),
            ("anti", -truth, "misleads"),
        ):
            found, regret = judged(score, truth, rng)
            choices = {"undecided", "competitive" if regret < 0.003 else "worse"}
            if kind != "useless":
                choices = {"competitive" if kind == "perfect" else "worse"}
            right[kind] += found.ranking == ranking and found.choice in choices
    assert min(right.values()) >= 0.95 * draws, right


def test_the_verdict_on_planted_truth_is_right():
    check_verdicts(100)


@pytest.mark.long
def test_the_verdict_on_planted_truth_is_right_in_95_percent_of_1000_studies():
    check_verdicts(1000)


@pytest.mark.parametrize("num_seeds", [1, 2])
def test_too_few_seeds_get_no_verdict_but_the_number_that_is_needed(num_seeds):
    found = verdict(
        Evidence(
            tau=0.9,
            ranking_p=1e-9,
            regret=Interval(0.0, NAN, NAN, 1),
            equivalence_p=NAN,
            within_p=NAN,
            loss_p=NAN,
            images_width=0.0,
            sd=0.002 if num_seeds == 2 else NAN,
            margin=0.003,
            num_seeds=num_seeds,
        )
    )
    assert (found.ranking, found.choice) == ("undecided", "undecided")
    if num_seeds == 2:
        assert found.seeds_needed == 6
        assert "needs 6 seeds" in found.reason
    else:
        assert "one seed cannot show" in found.reason


def test_every_pair_of_outcomes_has_its_word():
    kinds = itertools.product((0.5, -0.5), (0.001, 0.5))
    words = []
    for value, p in kinds:
        found = verdict(
            Evidence(
                tau=value,
                ranking_p=p,
                regret=Interval(0.01, 0.005, 0.015, 5),
                equivalence_p=0.9,
                within_p=0.9,
                loss_p=0.001,
                images_width=0.0,
                sd=0.002,
                margin=0.003,
                num_seeds=10,
            )
        )
        words.append((found.ranking, found.choice))
    assert words == [
        ("predicts", "worse"),
        (RANDOM, "worse"),
        ("misleads", "worse"),
        (RANDOM, "worse"),
    ]
