"""Rules that turn a map into a preference for each stage's scale, and so into a pick.

A rule gives every stage one value per scale (0 cells is "off"); a network's score is the sum over
its stages, so the pick is the network with the highest score and rank correlation is defined.
Values are headroom, HEAD(t, s) = CRS(t, s) - CRS(last layer, 1 cell), unless a rule says otherwise;
no attention is worth 0. The primary rule is fixed in the study before the search.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never, get_args

import numpy as np
from numpy.typing import NDArray

from analysis.look.classmap import ClassRepMap, Estimator, Reading
from search.study.networks import Networks
from search.study.study import RuleName

Rule = RuleName  # a study names its primary rule, so the names stand there
RULES: tuple[Rule, ...] = get_args(Rule)
Stages = tuple[tuple[Reading, ...], ...]  # per stage, coarse to fine

# What 1,000 probe images resolve (docs/method.md, section 2): errors come from queries alone, so at
# saturation they fall far below what another gallery would change.
RESOLUTION = 0.02
HEADROOM = RESOLUTION  # R5
HEADROOM_ERRORS = 2.5  # R5: the largest of several scales is above 0.02 in half of cases by noise
RETAINED = 0.9  # R4
MACS_RATIO = 1.017  # R6: the budget, the paper's +1.7 %
STEP = 1e-6  # order among equals: a coarser scale costs less, so it goes first

MEANING: dict[Rule, str] = {
    "R1": "per stage, the most class-consistent scale",
    "R2": f"the coarsest scale within one paired error (at least {RESOLUTION}) of that",
    "R3": "the largest gain over one cell beyond two errors; else squeeze-and-excitation, or off",
    "R4": f"the coarsest scale that keeps {RETAINED} of the native map's class responses",
    "R5": f"as R1, but off where no scale has more headroom than {HEADROOM} and {HEADROOM_ERRORS} "
    "errors",
    "R2+R5": f"as R2, but off where no scale has more headroom than {HEADROOM} and "
    f"{HEADROOM_ERRORS} errors",
    "R6": f"the most headroom in sum, within {MACS_RATIO} times the vanilla network's MACs",
    "R7": "the most that a scale holds beyond the next stage's response at one cell",
}


def stage_values(rule: Rule, stages: Stages, *, last: float) -> tuple[dict[int, float], ...]:
    """Value of each scale of each stage under `rule`; key 0 is "off".

    Args:
        stages: readings per stage, from the coarsest scale to the native one.
        last: CRS of the last layer at one cell.
    """
    following = [readings[0].crs for readings in stages[1:]] + [last]
    return tuple(
        _values(rule, readings, after=after)
        for readings, after in zip(stages, following, strict=True)
    )


def _values(rule: Rule, readings: Sequence[Reading], *, after: float) -> dict[int, float]:
    """See `MEANING`; the budget of R6 is kept by `rule_scores`."""
    match rule:
        case "R1":
            return _never_off({r.cells: r.head for r in readings})
        case "R2":
            return _never_off(_coarsest_within_one_se(readings))
        case "R3":
            return _significant_gain(readings)
        case "R4":
            kept = {r.cells: min(r.agreement, RETAINED) for r in readings}
            return _never_off(_coarse_first(kept))
        case "R5":
            return _only_with_headroom({r.cells: r.head for r in readings}, readings)
        case "R2+R5":
            return _only_with_headroom(_coarsest_within_one_se(readings), readings)
        case "R6":
            return {0: 0.0} | {r.cells: r.head for r in readings}
        case "R7":
            return {0: 0.0} | {r.cells: r.crs - after for r in readings}
        case _:
            assert_never(rule)


def _coarse_first(values: dict[int, float]) -> dict[int, float]:
    return {cells: value - STEP * i for i, (cells, value) in enumerate(values.items())}


def _coarsest_within_one_se(readings: Sequence[Reading]) -> dict[int, float]:
    """Headroom of the best scale, less the shortfall beyond one error, or the resolution."""
    top = max(r.head for r in readings)
    return _coarse_first(
        {r.cells: top - max(0.0, r.below_best - max(r.below_best_se, RESOLUTION)) for r in readings}
    )


def _never_off(values: dict[int, float]) -> dict[int, float]:
    return {0: min(values.values()) - STEP} | values


def _has_headroom(reading: Reading) -> bool:
    """Beyond what 1,000 images resolve, and what the largest of several scales is by chance."""
    return reading.head > max(HEADROOM, HEADROOM_ERRORS * reading.head_se)


def _only_with_headroom(values: dict[int, float], readings: Sequence[Reading]) -> dict[int, float]:
    if any(map(_has_headroom, readings)):
        return {0: 0.0} | values
    return {0: 0.0} | _coarse_first({c: min(v, 0.0) - STEP for c, v in values.items()})


def _significant_gain(readings: Sequence[Reading]) -> dict[int, float]:
    values = {r.cells: r.gain if r.gain > 2 * r.gain_se else -STEP for r in readings}
    values[readings[0].cells] = 0.0
    return {0: -STEP / 2 if _has_headroom(readings[0]) else STEP / 2} | values


def rule_scores(
    rule: Rule,
    chart: ClassRepMap,
    among: Networks,
    *,
    source: str = "trained",
    estimator: Estimator = "knn",
) -> NDArray[np.float64]:
    """Score of every candidate under a rule on one of the map's sources: (N,), higher is better.

    Static gates get none (NaN): a map says where to look, and they never look.

    Raises:
        ValueError: the map lacks a scale of the space, or has other stages.
    """
    stages = chart.stages(source=source, estimator=estimator)
    if len(stages) != among.cells_NT.shape[1] or not all(stages):
        raise ValueError(
            f"the map must have a row for each of the network's {among.cells_NT.shape[1]} stages, "
            f"got {len(stages)} for {source=} {estimator=}"
        )
    last = last_layer(stages)
    total_N = np.zeros(len(among))
    for stage, values in enumerate(stage_values(rule, stages, last=last)):
        cells, at_N = np.unique(among.cells_NT[:, stage], return_inverse=True)
        unread = sorted({int(c) for c in cells} - values.keys())
        if unread:
            raise ValueError(
                f"the map must hold every scale of the space, got none for {unread[0]} cells in "
                f"stage {stage + 1}, only {sorted(values)}"
            )
        total_N += np.array([values[int(c)] for c in cells])[at_N]
    score_N = within_budget(total_N, among) if rule == "R6" else total_N
    return np.where(among.is_static_N, np.nan, score_N)


def last_layer(stages: Stages) -> float:
    """CRS of the last layer at one cell, from which headroom is measured."""
    return stages[0][0].crs - stages[0][0].head


def with_trained_headroom(chart: ClassRepMap, *, source: str) -> ClassRepMap:
    """The map with headroom of one source measured from the trained network's last layer.

    A control that is compared with its own last layer always has headroom, since that is near
    chance.
    """
    last = last_layer(chart.stages())
    return replace(
        chart,
        readings=tuple(
            replace(r, head=r.crs - last) if r.source == source else r for r in chart.readings
        ),
    )


def within_budget(gain_N: NDArray[np.float64], among: Networks) -> NDArray[np.float64]:
    """Gains, with every network over the budget of MACs ranked behind all that keep it."""
    from stacnet.cost import cost  # torch, which a comparison of picks does without

    over_N = among.macs_N > MACS_RATIO * cost(among.space.base).macs
    return gain_N - over_N * (np.ptp(gain_N) + 1)


def best_candidate(score_N: NDArray[np.float64], among: Networks) -> int:
    """The highest score.

    Among equals the setting that the space names first (of kernels (3, 1) it is 3), then the fewest
    MACs, parameters, and the first point.
    """
    known_N = np.nan_to_num(score_N, nan=-np.inf)
    rows = np.flatnonzero(known_N == known_N.max())
    rows = rows[among.setting_N[rows] == among.setting_N[rows].min()]
    if len(rows) > 1:  # else no price is asked for
        equals = among.only(rows)
        rows = rows[np.lexsort((equals.params_N, equals.macs_N))]
    return int(rows[0])  # stable, and networks stand in the order of their points
