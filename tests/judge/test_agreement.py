"""The statistics against scipy, brute force and simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.judge.agreement import (
    effect_size,
    equivalence_p,
    holm,
    mean_interval,
    paired_sd,
    seeds_needed,
)
from analysis.judge.ranks import (
    fidelity,
    noise_ceiling,
    spearman,
    tau,
    tau_interval,
    tau_p,
    tau_within,
    top_overlap,
)

pytestmark = pytest.mark.slow  # simulates some thousand studies
NAN = float("nan")


def test_tau_and_spearman_are_scipys_on_the_networks_that_have_both():
    rng = np.random.default_rng(0)
    score, accuracy = rng.integers(0, 9, 40) / 1.0, rng.random(40)
    score[3], accuracy[7] = NAN, NAN
    both = np.isfinite(score) & np.isfinite(accuracy)
    expected = stats.kendalltau(score[both], accuracy[both])
    assert tau(score, accuracy) == pytest.approx(expected.statistic)
    assert tau_p(score, accuracy) == pytest.approx(expected.pvalue)
    rho = stats.spearmanr(score[both], accuracy[both]).statistic
    assert spearman(score, accuracy) == pytest.approx(rho)
    r = stats.pearsonr(score[both], accuracy[both]).statistic
    assert fidelity(score, accuracy) == pytest.approx(r)


def test_a_score_that_does_not_vary_has_no_tau():
    assert np.isnan(fidelity(np.ones(4), np.arange(4.0)))
    assert np.isnan(tau(np.ones(5), np.arange(5.0)))
    assert np.isnan(spearman(np.ones(5), np.arange(5.0)))


def test_equivalence_is_scipys_two_one_sided_tests():
    difference = np.array([0.001, -0.002, 0.0015, 0.0005])
    for margin in (0.001, 0.003):
        above = stats.ttest_1samp(difference, -margin, alternative="greater").pvalue
        below = stats.ttest_1samp(difference, margin, alternative="less").pvalue
        assert equivalence_p(difference, margin=margin) == pytest.approx(max(above, below))
    assert np.isnan(equivalence_p(difference[:1], margin=0.003))
    assert equivalence_p(np.zeros(3), margin=0.003) == 0.0
    assert equivalence_p(np.full(3, 0.004), margin=0.003) == 1.0


def coverage(values_RS: np.ndarray, truth: float, *, level: str) -> float:
    inside = 0
    for values_S in values_RS:
        if level == "t":
            found = mean_interval(values_S)
            low, high = found.low, found.high
        else:
            resample = np.random.default_rng(0).integers(0, len(values_S), (999, len(values_S)))
            low, high = np.quantile(values_S[resample].mean(1), [0.025, 0.975])
        inside += low <= truth <= high
    return inside / len(values_RS)


@pytest.mark.parametrize("num_seeds", [2, 3, 5, 10])
def test_intervals_cover_95_percent_of_1000_simulated_studies(num_seeds):
    # Differences of two accuracies on 2,000 test images plus a seed effect: discrete, not normal.
    rng = np.random.default_rng(num_seeds)
    truth = 0.01
    runs = rng.normal(0.005, 0.002, (2, 1000, num_seeds)) * [[[1]], [[-1]]] + 0.7
    hits = rng.binomial(2000, runs) / 2000
    assert 0.93 <= coverage(hits[0] - hits[1], truth, level="t") <= 0.97


def test_the_percentile_bootstrap_would_not_cover_at_few_seeds():
    values = np.random.default_rng(0).normal(0, 1, (1000, 4))
    assert coverage(values, 0.0, level="percentile") < 0.87


def test_equivalence_is_claimed_wrongly_in_at_most_5_percent_of_studies():
    rng = np.random.default_rng(0)
    at_margin = rng.normal(0.003, 0.002, (2000, 6))
    wrong = np.mean([equivalence_p(row, margin=0.003) < 0.05 for row in at_margin])
    assert 0.035 <= wrong <= 0.065


def test_one_seed_gives_a_value_without_interval_and_none_gives_nothing():
    found = mean_interval(np.array([0.5, NAN]))
    assert (found.value, found.n) == (0.5, 1)
    assert np.isnan(found.low)
    assert mean_interval(np.array([NAN])).n == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_rejects_exactly_what_the_step_down_procedure_rejects(p_values):
    adjusted = holm(p_values)
    rejected: set[int] = set()
    for rank, index in enumerate(np.argsort(p_values, kind="stable")):
        if p_values[index] * (len(p_values) - rank) > 0.05:
            break
        rejected.add(int(index))
    assert {i for i, p in enumerate(adjusted) if p <= 0.05} == rejected


def test_a_missing_p_value_does_not_count_in_holm():
    assert holm([0.01, NAN, 0.04])[0] == pytest.approx(0.02)
    assert np.isnan(holm([0.01, NAN, 0.04])[1])


def test_power_needs_the_seeds_of_the_method():
    assert seeds_needed(0.002, 0.005) == 4
    assert seeds_needed(0.002, 0.003) == 6
    with pytest.raises(ValueError, match="delta must be positive, got delta=0"):
        seeds_needed(0.002, 0)


def test_the_promised_power_is_reached_in_simulation():
    rng = np.random.default_rng(0)
    n = seeds_needed(0.002, 0.003)
    draws = rng.normal(0.003, 0.002, (4000, n))
    assert (stats.ttest_1samp(draws, 0, axis=1).pvalue < 0.05).mean() > 0.79


def test_overlap_counts_the_shared_part_of_both_top_lists():
    assert top_overlap(np.arange(10.0), np.arange(10.0), k=3) == 1
    assert top_overlap(np.arange(10.0), -np.arange(10.0), k=3) == 0
    assert top_overlap(np.array([3.0, 2, 1, 0]), np.array([3.0, 0, 2, 1]), k=2) == 0.5


def test_overlap_is_averaged_over_equal_scores_whatever_their_order():
    accuracy = np.arange(4.0)
    assert top_overlap(np.array([1.0, 1, 1, 1]), accuracy, k=1) == 0.25
    assert top_overlap(np.array([0.0, 1, 1, 1]), accuracy, k=2) == pytest.approx(2 / 3)
    assert top_overlap(accuracy, np.zeros(4), k=2) == 0.5


def test_tau_within_bins_forgets_what_cost_alone_explains():
    rng = np.random.default_rng(0)
    cost = np.repeat(np.arange(4.0), 50)
    accuracy = cost + 0.1 * rng.random(200)
    by_cost = cost + 0.1 * rng.random(200)
    assert tau(by_cost, accuracy) > 0.7
    assert abs(tau_within(by_cost, accuracy, cost)) < 0.15


def test_the_noise_ceiling_is_one_without_noise_and_falls_with_it():
    rng = np.random.default_rng(0)
    truth = rng.random((100, 1))
    assert noise_ceiling(np.repeat(truth, 6, axis=1)).value == pytest.approx(1)
    noisy = noise_ceiling(truth + rng.normal(0, 0.5, (100, 6))).value
    assert 0 < noisy < 0.6
    assert np.isnan(noise_ceiling(truth).value)
    unrelated = np.column_stack([truth, -truth])
    assert noise_ceiling(unrelated).value == 0


def test_the_noise_ceiling_is_what_a_perfect_predictor_reaches_on_half_of_the_seeds():
    rng = np.random.default_rng(0)
    for noise in (0.3, 1.0, 2.0):
        truth = rng.normal(0, 1, 300)
        studies = [truth[:, None] + rng.normal(0, noise, (300, 6)) for _ in range(30)]
        reached = np.mean([tau(truth, study[:, :3].mean(1)) for study in studies])
        said = np.mean([noise_ceiling(study).value for study in studies])
        assert said == pytest.approx(reached, abs=0.02)


def test_the_paired_deviation_is_that_of_differences_whatever_the_seeds_share():
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.002, (300, 5)) + rng.normal(0, 0.05, 5) + rng.random((300, 1))
    assert paired_sd(noise) == pytest.approx(0.002 * 2**0.5, rel=0.1)
    assert np.isnan(paired_sd(noise[:, :1]))


def test_effect_size_is_mean_over_deviation():
    assert effect_size(np.array([1.0, 2.0, 3.0])) == pytest.approx(2.0)
    assert np.isnan(effect_size(np.array([1.0])))


def test_the_tau_interval_covers_the_expected_tau():
    rng = np.random.default_rng(0)
    truth, score = np.arange(30.0), np.arange(30.0) + rng.normal(0, 8, 30)

    def study() -> np.ndarray:
        return truth[:, None] + rng.normal(0, 6, (30, 5))

    target = np.mean([tau(score, study().mean(1)) for _ in range(1000)])
    found = [tau_interval(score, study()) for _ in range(300)]
    assert 0.92 <= np.mean([one.low <= target <= one.high for one in found]) <= 1.0
