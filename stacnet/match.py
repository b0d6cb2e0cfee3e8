"""The widened twin: a vanilla or SE network that costs as much as a given one."""

from dataclasses import replace
from itertools import product
from math import sqrt
from typing import Literal

from stacnet.cost import cost
from stacnet.spec import AttentionSpec, ResNetSpec

TOLERANCE = 0.01  # largest relative difference in cost
_FACTORS = (1 / 16, 16.0)  # bounds on how much wider the twin may be


def matched(
    spec: ResNetSpec, *, by: Literal["params", "macs"], attention: AttentionSpec | None = None
) -> ResNetSpec:
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
    target = getattr(cost(spec), by)

    def twin(widths: tuple[int, ...]) -> ResNetSpec:
        # From `attention` as it was given: its canonical reduction belongs to other widths.
        return replace(spec, widths=widths, attention=(attention,) * len(widths))

    def difference(widths: tuple[int, ...]) -> float:
        return getattr(cost(twin(widths)), by) / target - 1

    low, high = _FACTORS
    for _ in range(20):
        middle = sqrt(low * high)
        if difference(_scaled(spec.widths, middle)) < 0:
            low = middle
        else:
            high = middle
    ends = (_scaled(spec.widths, low), _scaled(spec.widths, high))
    nearest = min(ends, key=lambda widths: abs(difference(widths)))
    for widths in _around(nearest):
        if abs(difference(widths)) <= TOLERANCE:
            return twin(widths)
    raise ValueError(
        f"{by} of the twin must come within {TOLERANCE:.0%} of {target}, got "
        f"{difference(nearest):+.1%} with widths={nearest} and no better within two channels of it"
    )


def _scaled(widths: tuple[int, ...], factor: float) -> tuple[int, ...]:
    return tuple(max(1, round(width * factor)) for width in widths)


def _around(widths: tuple[int, ...]) -> list[tuple[int, ...]]:
    """These widths, then those with stages up to two channels away, fewest steps first."""
    steps = sorted(product(range(-2, 3), repeat=len(widths)), key=lambda s: sum(map(abs, s)))
    moved = (tuple(w + d for w, d in zip(widths, step, strict=True)) for step in steps)
    return [candidate for candidate in moved if min(candidate) >= 1]
