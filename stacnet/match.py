"""The widened twin: a vanilla or SE network that costs as much as a given one."""

from dataclasses import replace
from itertools import product
from math import sqrt
from typing import Literal

from stacnet.cost import cost
from stacnet.spec import AttentionSpec, NetworkSpec

TOLERANCE = 0.01  # largest relative difference in cost
_FACTORS = (1 / 16, 16.0)  # bounds on how much wider the twin may be


def matched(
    spec: NetworkSpec, *, by: Literal["params", "macs"], attention: AttentionSpec | None = None
) -> NetworkSpec:
    """A network of the same depth and stem with other widths and the same cost within 1 %.

    At twice the parameters a comparison with the vanilla network proves nothing; with this one
    it does. All widths are scaled by one factor and rounded; where that is too coarse, single
    stages move by a channel or two.

    Args:
        spec: the network whose cost is to be met.
        by: which cost.
        attention: of every stage of the twin; None for a widened vanilla network.

    Raises:
        ValueError: no widths come that close.
    """
    twin = replace(spec, attention=(attention,) * len(spec.blocks))
    target = getattr(cost(spec), by)

    def error(widths: tuple[int, ...]) -> float:
        return abs(getattr(cost(replace(twin, widths=widths)), by) / target - 1)

    low, high = _FACTORS
    for _ in range(20):
        middle = sqrt(low * high)
        if getattr(cost(replace(twin, widths=_scaled(spec.widths, middle))), by) < target:
            low = middle
        else:
            high = middle
    nearest = min((_scaled(spec.widths, low), _scaled(spec.widths, high)), key=error)
    for widths in _around(nearest):
        if error(widths) <= TOLERANCE:
            return replace(twin, widths=widths)
    raise ValueError(
        f"{by} of the twin must come within {TOLERANCE:.0%} of {target}, got "
        f"{error(nearest):.1%} with widths={nearest} and no better within two channels of it"
    )


def _scaled(widths: tuple[int, ...], factor: float) -> tuple[int, ...]:
    return tuple(max(1, round(width * factor)) for width in widths)


def _around(widths: tuple[int, ...]) -> list[tuple[int, ...]]:
    """These widths, then those with stages up to two channels away, fewest steps first."""
    steps = sorted(product(range(-2, 3), repeat=len(widths)), key=lambda s: sum(map(abs, s)))
    moved = (tuple(w + d for w, d in zip(widths, step, strict=True)) for step in steps)
    return [candidate for candidate in moved if min(candidate) >= 1]
