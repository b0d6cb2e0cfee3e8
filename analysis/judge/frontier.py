"""Pareto frontiers in (cost, accuracy), their hypervolume, and the additive epsilon indicator.

Cost is minimised, accuracy maximised. Shapes: N networks, F points of a frontier.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Reference(NamedTuple):
    """The worst point that still counts: hypervolume is measured from here.

    Cost is that of the dearest network, accuracy that of vanilla: from chance, any front at all
    covers nearly everything. It is the same for the true front and every predicted one.
    """

    cost: float
    accuracy: float


def on_frontier(cost_N: Floats, accuracy_N: Floats) -> NDArray[np.bool_]:
    """Which networks no other one beats: (N,).

    One beats another if it is at least as good in both and better in one. Equal points are all
    kept; NaN never is. O(N log N).
    """
    order = np.lexsort((-accuracy_N, cost_N))
    cost, accuracy = cost_N[order], np.nan_to_num(accuracy_N[order], nan=-np.inf)
    before = np.concatenate([[-np.inf], np.maximum.accumulate(accuracy)[:-1]])
    first_of_cost = np.searchsorted(cost, cost, side="left")
    best_of_cost = accuracy[first_of_cost] if len(cost) else accuracy
    beats_cheaper = accuracy > before[first_of_cost] if len(cost) else accuracy > before
    kept = np.zeros(len(cost), dtype=bool)
    kept[order] = beats_cheaper & (accuracy == best_of_cost) & np.isfinite(cost)
    return kept & np.isfinite(accuracy_N)


def frontier(cost_N: Floats, accuracy_N: Floats) -> NDArray[np.int64]:
    """One network for each point of the frontier, cheapest first: (F,).

    Of networks that are the same point the first is named.
    """
    kept = np.flatnonzero(on_frontier(cost_N, accuracy_N))
    _, first = np.unique(cost_N[kept], return_index=True)
    return kept[first]


def hypervolume(cost_N: Floats, accuracy_N: Floats, reference: Reference) -> float:
    """Area that the points dominate, up to the reference point; 0 for none.

    Points beyond the reference count for nothing.
    """
    inside = (cost_N <= reference.cost) & (accuracy_N >= reference.accuracy)
    cost, accuracy = cost_N[inside], accuracy_N[inside]
    front = frontier(cost, accuracy)
    width = np.diff(np.append(cost[front], reference.cost))
    return float((width * (accuracy[front] - reference.accuracy)).sum())


def additive_epsilon(
    cost_N: Floats, accuracy_N: Floats, *, true_cost_F: Floats, true_accuracy_F: Floats
) -> float:
    """Accuracy that must be added to the points so that they weakly dominate a true frontier.

    For each true point the best accuracy at no more cost is compared; inf if the points offer
    nothing as cheap. In units of accuracy (Zitzler et al. 2003, with cost held fixed).
    """
    order = np.argsort(cost_N, kind="stable")
    best = np.maximum.accumulate(np.nan_to_num(accuracy_N[order], nan=-np.inf))
    at = np.searchsorted(cost_N[order], true_cost_F, side="right") - 1
    reached = np.where(at >= 0, best[np.maximum(at, 0)], -np.inf)
    return float(np.max(true_accuracy_F - reached))
