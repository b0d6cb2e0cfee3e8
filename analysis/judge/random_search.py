"""What a random search gives: one network, the trials to match a pick, the best of a few trainings.

Exact by enumeration. Shapes: N networks, A seeds that select, K trainings.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from analysis.judge.bench import Bench
from analysis.judge.comparison import EqualCost, RandomPick

Floats = NDArray[np.float64]


def trials_to_match(accuracy_N: Floats, pick: float) -> float:
    """Expected random draws without replacement until one is at least as good as `pick`.

    (n + 1) / (K + 1) with K of n networks at least as good; NaN if the pick is above all.
    """
    known_N = accuracy_N[np.isfinite(accuracy_N)]
    good = int((known_N >= pick).sum())
    return (len(known_N) + 1) / (good + 1) if good else float("nan")


def random_pick(bench: Bench) -> RandomPick:
    """Expectation over one network drawn at random."""
    known_N = bench.measure_N[np.isfinite(bench.measure_N)]
    at_most = np.searchsorted(np.sort(known_N), known_N, side="right")
    return RandomPick(
        regret=float(bench.measure_N[bench.best] - known_N.mean()),
        percentile=float(100 * at_most.mean() / len(known_N)),
        accuracy=float(known_N.mean()),
        accuracy_sd=float(known_N.std()),
    )


def equal_cost(bench: Bench, trainings: float) -> EqualCost | None:
    """The best of as many random trainings as the prediction costs; None if that rounds to none.

    Networks are drawn without replacement, each trained with one of seeds A; the best by validation
    accuracy counts, and is measured on seeds B like everything else.
    """
    if not trainings > 0.5:  # also where it is unknown
        return None
    draws = round(trainings)
    found = [_best_of(val_N, bench.measure_N, draws) for val_N in bench.select_NA.T]
    return EqualCost(trainings=draws, accuracy=float(np.nanmean(found)))


def _best_of(select_N: Floats, measure_N: Floats, draws: int) -> float:
    """Expected `measure` of the network that selects best among so many of all."""
    both = np.isfinite(select_N) & np.isfinite(measure_N)
    best_first_N = measure_N[both][np.argsort(-select_N[both], kind="stable")]
    num = len(best_first_N)
    if not num:
        return float("nan")
    # the best is at place i if the i before it are not drawn, and it is
    rank_N = np.arange(num + 1)
    none_before_N = stats.hypergeom.pmf(0, num, rank_N, min(draws, num))
    return float(-np.diff(none_before_N) @ best_first_N)
