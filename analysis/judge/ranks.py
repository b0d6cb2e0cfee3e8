"""How well scores rank networks: tau with its interval, rho, fidelity, the best, and the ceiling.

Ranks and distributions are scipy's. Shapes: S seeds, N networks.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from analysis.judge.agreement import LEVEL, Interval, mean_over_seeds

Floats = NDArray[np.float64]


def tau(score_N: Floats, accuracy_N: Floats) -> float:
    """Kendall's tau-b over the networks that have both; NaN if one does not vary."""
    known = _varying(score_N, accuracy_N)
    return _kendall(*known)[0] if known else float("nan")


def tau_p(score_N: Floats, accuracy_N: Floats) -> float:
    """Two-sided p of tau-b if scores were dealt at random among networks."""
    known = _varying(score_N, accuracy_N)
    return _kendall(*known)[1] if known else float("nan")


def _varying(score_N: Floats, accuracy_N: Floats) -> tuple[Floats, Floats] | None:
    """Scores and accuracies of the networks that have both; None if one does not vary."""
    both = np.isfinite(score_N) & np.isfinite(accuracy_N)
    x_N, y_N = score_N[both], accuracy_N[both]
    return (x_N, y_N) if len(x_N) > 1 and np.ptp(x_N) and np.ptp(y_N) else None


def _kendall(x_N: Floats, y_N: Floats) -> tuple[float, float]:
    """Tau-b and its two-sided p."""
    statistic, p = np.asarray(stats.kendalltau(x_N, y_N), dtype=np.float64)
    return float(statistic), float(p)


def spearman(score_N: Floats, accuracy_N: Floats) -> float:
    """Spearman's rho over the networks that have both; NaN if one does not vary."""
    known = _varying(score_N, accuracy_N)
    # as spearmanr, whose last bit differs: published numbers stay as they are
    return float(np.corrcoef(*map(stats.rankdata, known))[0, 1]) if known else float("nan")


def fidelity(score_N: Floats, accuracy_N: Floats) -> float:
    """Whether gaps in score are gaps in accuracy, not only of the same sign (arXiv 2510.06448).

    The slope of accuracy's gaps on the score's over all pairs, each in its own SD: Pearson's r.
    """
    known = _varying(score_N, accuracy_N)
    return float(np.corrcoef(*known)[0, 1]) if known else float("nan")


def tau_interval(score_N: Floats, accuracy_NS: Floats, *, images_sd: float = 0.0) -> Interval:
    """Tau with the accuracies' mean over seeds; interval by the jackknife over seeds (t).

    Args:
        images_sd: what other test images would change; it widens the interval in squares.
    """
    with np.errstate(invalid="ignore"):
        value = tau(score_N, mean_over_seeds(accuracy_NS))
    num_seeds = accuracy_NS.shape[1]
    if num_seeds < 2 or np.isnan(value):
        return Interval(value, np.nan, np.nan, num_seeds)
    left_out = np.array(
        [tau(score_N, mean_over_seeds(np.delete(accuracy_NS, s, axis=1))) for s in range(num_seeds)]
    )
    spread = float(np.sqrt((num_seeds - 1) * np.mean((left_out - left_out.mean()) ** 2)))
    level = 0.5 + LEVEL / 2
    half = math.hypot(stats.t.ppf(level, num_seeds - 1) * spread, stats.norm.ppf(level) * images_sd)
    return Interval(value, max(-1.0, value - half), min(1.0, value + half), num_seeds)


def tau_within(score_N: Floats, accuracy_N: Floats, cost_N: Floats, *, bins: int = 4) -> float:
    """Tau among networks of like cost: mean over quantile bins, weighted by their networks."""
    both = np.isfinite(score_N) & np.isfinite(accuracy_N) & np.isfinite(cost_N)
    if both.sum() < 2:
        return float("nan")
    edges = np.quantile(cost_N[both], np.linspace(0, 1, bins + 1)[1:-1])
    bin_N = np.searchsorted(edges, cost_N, side="right")
    found = [
        (tau(score_N[at], accuracy_N[at]), at.sum())
        for at in (both & (bin_N == number) for number in range(bins))
    ]
    usable = [(value, weight) for value, weight in found if np.isfinite(value)]
    if not usable:
        return float("nan")
    values, weights = zip(*usable, strict=True)
    return float(np.average(values, weights=weights))


def top_overlap(score_N: Floats, accuracy_N: Floats, *, k: int) -> float:
    """Share of the k most accurate networks among the k best-scored ones, averaged over ties."""
    both = np.isfinite(score_N) & np.isfinite(accuracy_N)
    k = min(k, int(both.sum()))
    if not k:
        return float("nan")
    return float(_in_top(score_N[both], k) @ _in_top(accuracy_N[both], k)) / k


def _in_top(value_N: Floats, k: int) -> Floats:
    """How probable each is among the k highest, equals in a random order."""
    cut = np.sort(value_N)[-k]
    above_N, equal_N = value_N > cut, value_N == cut
    return above_N + equal_N * (k - above_N.sum()) / equal_N.sum()


def noise_ceiling(accuracy_NS: Floats, *, splits: int = 20, seed: int = 0) -> Interval:
    """Tau that a perfect predictor would reach with the mean over half of the seeds.

    From the tau between two halves, both of them noisy: as a correlation of normal ranks that is
    the reliability of a half, and a perfect predictor correlates with its root. The interval is
    the range over random splits (central 95 %), not a confidence interval. Ties make it too low.
    """
    num_seeds = accuracy_NS.shape[1]
    if num_seeds < 2:
        return Interval(np.nan, np.nan, np.nan, num_seeds)
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(1 if num_seeds == 2 else splits):
        order = rng.permutation(num_seeds)
        half = num_seeds // 2
        one, other = accuracy_NS[:, order[:half]], accuracy_NS[:, order[half:]]
        found.append(tau(mean_over_seeds(one), mean_over_seeds(other)))
    low, high = np.quantile(found, [0.025, 0.975])
    value, low, high = map(_of_a_perfect_one, (float(np.mean(found)), float(low), float(high)))
    return Interval(value, low, high, num_seeds)


def _of_a_perfect_one(tau_of_halves: float) -> float:
    """2/pi asin sqrt(sin(pi/2 tau)); 0 where halves do not agree at all."""
    reliability = np.maximum(np.sin(np.pi / 2 * tau_of_halves), 0)
    return float(2 / np.pi * np.arcsin(np.sqrt(reliability)))
