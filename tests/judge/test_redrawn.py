"""Test images drawn anew: taus that other images would have shown."""

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from analysis.judge.answers import Answers
from analysis.judge.redrawn import redrawn_accuracy, tau_spread

NETWORKS, SEEDS = 12, 2


def answers(right_NSI: np.ndarray, groups_I: np.ndarray | None = None) -> Answers:
    packed = [np.packbits(row).tobytes() for row in right_NSI.reshape(-1, right_NSI.shape[-1])]
    place_NS = np.arange(len(packed)).reshape(right_NSI.shape[:2])
    diverged_NS = np.zeros(place_NS.shape, bool)
    return Answers(
        pa.array(packed, pa.binary()), place_NS, right_NSI.shape[-1], diverged_NS, 0.1, groups_I
    )


def drawn(rng: np.random.Generator, images: int) -> np.ndarray:
    """Networks of growing skill that fail on the same hard images."""
    hard_I = rng.random(images)
    skill_N = np.linspace(0.5, 0.6, NETWORKS)
    luck_NSI = rng.normal(0, 0.05, (NETWORKS, SEEDS, images))
    return hard_I < skill_N[:, None, None] + luck_NSI


def test_the_spread_over_draws_is_that_over_other_test_sets():
    rng = np.random.default_rng(0)
    score_N = np.arange(float(NETWORKS))
    taus, spreads = [], []
    for _ in range(60):
        right_NSI = drawn(rng, 200)
        taus.append(stats.kendalltau(score_N, right_NSI.mean((1, 2))).statistic)
        redrawn_NM = redrawn_accuracy(answers(right_NSI), np.arange(NETWORKS), np.arange(SEEDS))
        assert redrawn_NM is not None
        spreads.append(tau_spread(score_N, redrawn_NM))
    assert 0.8 < np.mean(spreads) / np.std(taus) < 1.6  # what training adds counts a second time


def test_images_of_one_group_are_drawn_together():
    right_NSI = drawn(np.random.default_rng(0), 100)
    groups_I = np.repeat(np.arange(10), 10)
    for given, limit in ((None, 1), (groups_I, 2)):
        redrawn_NM = redrawn_accuracy(
            answers(np.sort(right_NSI, axis=-1), given), np.arange(NETWORKS), np.arange(SEEDS)
        )
        assert redrawn_NM is not None
        assert redrawn_NM.mean(1) == pytest.approx(right_NSI.mean((1, 2)), abs=0.03)
        assert (redrawn_NM.std(1).mean() > 0.1) == (limit == 2)


def test_without_all_answers_nothing_is_drawn():
    one = answers(drawn(np.random.default_rng(0), 50))
    one.place_NS[3, 1] = -1
    assert redrawn_accuracy(one, np.arange(NETWORKS), np.arange(SEEDS)) is None
    assert tau_spread(np.full(NETWORKS, np.nan), np.zeros((NETWORKS, 5))) == 0
