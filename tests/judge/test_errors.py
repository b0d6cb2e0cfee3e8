"""Errors over seeds and images: with scipy where there is one answer, by simulation elsewhere."""

import numpy as np
import pytest
from scipy import stats

from analysis.judge.agreement import equivalence_p, mean_interval
from analysis.judge.errors import images_variance, measured

SEEDS_ALONE = np.array([0.001, -0.002, 0.0015, 0.0005])


def coverage(*, seeds: int, own: float, noise: float, size: int = 1, draws: int = 400) -> float:
    """Of two equal networks that answer 1,000 shared images, in groups of `size`."""
    rng, inside, groups_I = np.random.default_rng(seeds), 0, np.arange(1000) // size
    for _ in range(draws):
        liking_2G = rng.normal(0, own, (2, 1000 // size)) + rng.normal(0, 1.5, 1000 // size)
        wins = [
            liking_G[groups_I] + rng.normal(1.2, noise, (seeds, 1000)) > 0 for liking_G in liking_2G
        ]
        right_SI = wins[0].astype(float) - wins[1]
        low, high = measured(right_SI.mean(1), right_SI, groups_I).interval[1:3]
        inside += low <= 0 <= high
    return inside / draws


def test_without_images_it_is_students_t():
    found = measured(SEEDS_ALONE)
    assert found.interval == pytest.approx(mean_interval(SEEDS_ALONE))
    for margin in (0.001, 0.003):
        expected = equivalence_p(SEEDS_ALONE, margin=margin)
        assert found.equivalence_p(margin) == pytest.approx(expected)
        above = stats.ttest_1samp(SEEDS_ALONE, margin, alternative="less")
        assert found.above_p(margin) == pytest.approx(np.asarray(above)[1])
    assert found.below_p(0.0) == pytest.approx(1 - found.above_p(0.0))


def test_p_and_interval_say_the_same():
    rng = np.random.default_rng(0)
    right_SI = rng.integers(-1, 2, (3, 200)).astype(float)
    found = measured(right_SI.mean(1), right_SI)
    assert found.above_p(found.interval.high) == pytest.approx(0.025)
    assert found.below_p(found.interval.low) == pytest.approx(0.025)
    assert found.images_width < found.interval.high - found.value


@pytest.mark.parametrize("seeds", [3, 6])
@pytest.mark.parametrize(("own", "noise"), [(0.5, 0.0), (0.4, 0.4)])
def test_intervals_cover_equal_networks_that_disagree_on_a_tenth_of_the_images(seeds, own, noise):
    assert coverage(seeds=seeds, own=own, noise=noise) >= 0.93


def test_groups_of_images_count_as_one():
    assert coverage(seeds=3, own=0.5, noise=0.2, size=20) >= 0.93
    rng = np.random.default_rng(0)
    right_SI = np.repeat(rng.normal(0, 1, (1, 50)), 20, axis=1) + np.zeros((3, 1))
    alone = images_variance(right_SI)
    assert images_variance(right_SI, np.arange(1000) // 20) == pytest.approx(20 * alone, rel=0.05)


def test_a_pick_that_is_the_best_itself_has_no_error():
    found = measured(np.zeros(3), np.zeros((3, 100)))
    assert found.interval == (0, 0, 0, 3)
    assert found.equivalence_p(0.001) == 0
    assert np.isnan(measured(np.zeros(1)).interval.low)
    assert np.isnan(measured(np.full(2, np.nan)).value)
