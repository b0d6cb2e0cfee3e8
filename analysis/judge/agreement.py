"""Statistics of prediction against truth: intervals, equivalence, rank agreement, power.

Distributions, ranks and standard errors are scipy's. Shapes: S seeds, N networks, P p-values.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
LEVEL = 0.95


class Interval(NamedTuple):
    """A value with its 95 % interval; low and high are NaN where n is too small for one."""

    value: float
    low: float
    high: float
    n: int


def mean_interval(values_S: Floats) -> Interval:
    """Mean over seeds with Student's t interval.

    Chosen by simulation over the percentile bootstrap, which covers about 80 % at 4 seeds where it
    claims 95 % (tests/judge/test_agreement.py); t covers 95 % from 2 seeds on.
    """
    values_S = values_S[np.isfinite(values_S)]
    if len(values_S) == 0:
        return Interval(np.nan, np.nan, np.nan, 0)
    mean = float(values_S.mean())
    if len(values_S) < 2:
        return Interval(mean, np.nan, np.nan, 1)
    error = stats.sem(values_S)
    t = stats.t(len(values_S) - 1, loc=mean, scale=error)
    low, high = t.interval(LEVEL) if error else (mean, mean)
    return Interval(mean, float(low), float(high), len(values_S))


def equivalence_p(difference_S: Floats, *, margin: float) -> float:
    """TOST (Schuirmann 1987): p that the mean lies outside +-margin; NaN for fewer than 2 seeds."""
    difference_S = difference_S[np.isfinite(difference_S)]
    if len(difference_S) < 2:
        return float("nan")
    if np.ptp(difference_S) == 0:
        return 0.0 if abs(difference_S[0]) < margin else 1.0
    closest = margin - abs(float(difference_S.mean()))  # the two tests differ in sign alone
    # Not two of ttest_1samp, which warn of differences that are equal but for their rounding.
    return float(stats.t.sf(closest / stats.sem(difference_S), len(difference_S) - 1))


def effect_size(difference_S: Floats) -> float:
    """Cohen's d of a paired difference: mean over standard deviation; NaN for fewer than 2."""
    difference_S = difference_S[np.isfinite(difference_S)]
    if len(difference_S) < 2:
        return float("nan")
    deviation = float(difference_S.std(ddof=1))
    return float(difference_S.mean()) / deviation if deviation else float("nan")


def holm(p_P: Sequence[float]) -> list[float]:
    """Holm's (1979) adjusted p-values, in the same order; NaN stays NaN and does not count."""
    p = np.asarray(p_P, dtype=float)
    order = np.argsort(p, kind="stable")  # NaN last
    valid = int(np.isfinite(p).sum())
    adjusted = np.full(len(p), np.nan)
    factors = np.arange(valid, 0, -1)
    adjusted[order[:valid]] = np.minimum(1, np.maximum.accumulate(p[order[:valid]] * factors))
    return adjusted.tolist()


def seeds_needed(sd: float, delta: float, *, power: float = 0.8, most: int = 10_000) -> int:
    """Paired seeds for a two-sided 5 % t-test to see a difference `delta` with this power.

    Args:
        sd: standard deviation of the paired difference, same unit as delta.

    Raises:
        ValueError: delta is not positive.
    """
    if not delta > 0:
        raise ValueError(f"delta must be positive, got {delta=}")
    first = 2
    while first < most:  # in stretches, each twice as long: most studies need few seeds
        n = np.arange(first, min(2 * first + 8, most))
        critical = stats.t.ppf(1 - (1 - LEVEL) / 2, n - 1)
        reached = stats.nct.sf(critical, n - 1, delta / max(sd, 1e-12) * np.sqrt(n)) >= power
        if reached.any():
            return int(n[reached.argmax()])
        first = int(n[-1]) + 1
    return most


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


def tau_interval(score_N: Floats, accuracy_NS: Floats) -> Interval:
    """Tau with the accuracies' mean over seeds; interval by the jackknife over seeds (t)."""
    with np.errstate(invalid="ignore"):
        value = tau(score_N, mean_over_seeds(accuracy_NS))
    num_seeds = accuracy_NS.shape[1]
    if num_seeds < 2 or np.isnan(value):
        return Interval(value, np.nan, np.nan, num_seeds)
    left_out = np.array(
        [tau(score_N, mean_over_seeds(np.delete(accuracy_NS, s, axis=1))) for s in range(num_seeds)]
    )
    spread = float(np.sqrt((num_seeds - 1) * np.mean((left_out - left_out.mean()) ** 2)))
    half = float(stats.t.ppf(0.5 + LEVEL / 2, num_seeds - 1)) * spread
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


def percentile(accuracy_NB: Floats, row: int) -> Interval:
    """Percent of networks that this one is at least as good as; interval over seeds B."""

    def at(accuracy_N: Floats) -> float:
        known_N = accuracy_N[np.isfinite(accuracy_N)]
        return float(100 * (known_N <= accuracy_N[row]).mean()) if len(known_N) else np.nan

    if not np.isfinite(accuracy_NB[row]).any():
        return Interval(np.nan, np.nan, np.nan, 0)
    per_seed = mean_interval(
        np.array([at(column) for column in accuracy_NB.T if np.isfinite(column[row])])
    )
    value = at(mean_over_seeds(accuracy_NB))
    return Interval(value, max(0.0, per_seed.low), min(100.0, per_seed.high), per_seed.n)


def paired_sd(accuracy_NS: Floats) -> float:
    """Standard deviation of a paired difference between two networks, pooled over all networks.

    sqrt(2) times the residual of accuracy after network and seed effects; NaN if there is none.
    """
    complete = accuracy_NS[np.isfinite(accuracy_NS).all(1)]
    rows, columns = complete.shape
    if rows < 2 or columns < 2:
        return float("nan")
    rest = complete - complete.mean(1, keepdims=True) - complete.mean(0) + complete.mean()
    return float(np.sqrt(2 * (rest**2).sum() / ((rows - 1) * (columns - 1))))


def mean_over_seeds(accuracy_NS: Floats) -> Floats:
    """Mean over the seeds that exist; NaN where there are none."""
    count_N = np.isfinite(accuracy_NS).sum(1)
    total_N = np.nansum(accuracy_NS, axis=1)
    return np.divide(total_N, count_N, out=np.full(len(total_N), np.nan), where=count_N > 0)
