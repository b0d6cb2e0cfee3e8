"""The distinct networks of a space within its bounds, as one value: ids, points, specs, prices.

Shapes: N distinct networks in the order of their first point, T stages.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.errors import StudyError
from search.study.space import Space
from search.study.study import Exhaustive, Study
from stacnet.spec import Attention, NetworkSpec

LARGEST = 200_000  # points; the networks of a sampled study of a larger space are not listed


@dataclass(frozen=True)
class Networks:
    """What a study, a sampler or a predictor may choose from.

    Args:
        space: where they come from.
        points: first point of the space that is this network, of each.
        network_ids: of each.
        prices_N2: parameters and MACs where they are known, as from trainings; by default they are
            counted when they are asked for.
    """

    space: Space
    points: tuple[int, ...]
    network_ids: tuple[str, ...]
    prices_N2: NDArray[Any] | None = field(default=None, compare=False, repr=False)

    def __len__(self) -> int:
        return len(self.points)

    @cached_property
    def row(self) -> dict[str, int]:
        """network id -> row."""
        return {name: row for row, name in enumerate(self.network_ids)}

    def point(self, network_id: str) -> int | None:
        """First point of a network; None if it is none of these."""
        row = self.row.get(network_id)
        return None if row is None else self.points[row]

    def only(self, rows: Iterable[int]) -> "Networks":
        """Some of them."""
        kept = list(rows)
        points = tuple(self.points[row] for row in kept)
        names = tuple(self.network_ids[row] for row in kept)
        prices_N2 = None if self.prices_N2 is None else self.prices_N2[kept]
        return Networks(self.space, points, names, prices_N2)

    @cached_property
    def specs(self) -> tuple[NetworkSpec, ...]:
        """The description of each."""
        return tuple(map(self.space.spec, self.points))

    @cached_property
    def cells_NT(self) -> NDArray[np.int64]:
        """Cells per side of each stage's gate; 0 where the stage has none."""
        sizes = self.space.base.map_sizes
        return np.array(
            [
                [a.scale or size if a else 0 for a, size in zip(spec.attention, sizes, strict=True)]
                for spec in self.specs
            ]
        )

    @cached_property
    def open_T(self) -> NDArray[np.bool_]:
        """Whether any network has attention in this stage."""
        return np.any(self.cells_NT > 0, axis=0)

    def row_of_points(self) -> NDArray[np.int64]:
        """The row of each point's network, -1 where bounds leave it out: one for each point.

        Networks are told apart by the gates of their stages, and a stage's gate by its scale and
        what all gates share: so few specs are made, and none is hashed.
        """
        lengths = [len(scales) for scales in self.space.stage_scales]
        settings = self.space.size() // math.prod(lengths)
        numbers: dict[Attention, int] = {}
        gate_QDT = np.zeros((settings, max(lengths), len(lengths)), np.int64)
        for setting, digit in np.ndindex(gate_QDT.shape[:2]):
            scales = np.ravel_multi_index([min(digit, n - 1) for n in lengths], lengths)
            gates = self.space.spec(int(scales) * settings + setting).attention
            gate_QDT[setting, digit] = [numbers.setdefault(gate, len(numbers)) for gate in gates]
        points = np.arange(self.space.size())
        *digits_T, setting = np.unravel_index(points, (*lengths, settings))
        code = np.zeros(len(points), np.int64)
        for stage, digit in enumerate(digits_T):
            code = code * len(numbers) + gate_QDT[setting, digit, stage]
        code_N = code[list(self.points)]
        order_N = np.argsort(code_N)
        place = np.searchsorted(code_N, code, sorter=order_N).clip(max=len(code_N) - 1)
        return np.where(code_N[order_N[place]] == code, order_N[place], -1)

    @cached_property
    def setting_N(self) -> NDArray[np.int64]:
        """Place of what all gates share (kind, kernel, ...) among the space's settings."""
        shared = self.space.factors[len(self.space.stage_scales) :]
        return np.array(self.points) % math.prod(len(factor.choices) for factor in shared)

    @cached_property
    def is_static_N(self) -> NDArray[np.bool_]:
        """Whether it has gates that never look at the image: controls, no attention."""
        return np.array(
            [any(a and a.kind == "static" for a in spec.attention) for spec in self.specs]
        )

    @property
    def params_N(self) -> NDArray[np.int64]:
        """Parameters."""
        return self._prices_N2[:, 0]

    @property
    def macs_N(self) -> NDArray[np.int64]:
        """Multiply-accumulates of one image."""
        return self._prices_N2[:, 1]

    @cached_property
    def _prices_N2(self) -> NDArray[np.int64]:
        """Vanilla plus each stage's gates counted alone; gates share nothing, so this is exact."""
        if self.prices_N2 is not None:
            return self.prices_N2
        from stacnet.cost import cost, price  # torch, which a list without prices does not need

        base = cost(self.space.base)
        total_N2 = np.tile(np.array([base.params, base.macs]), (len(self), 1))
        for stage in range(len(self.space.base.blocks)):
            gates = [spec.attention[stage] for spec in self.specs]
            alone = {gate: price(_alone(self.space.base, stage, gate)) for gate in set(gates)}
            more = {g: (p.params - base.params, p.macs - base.macs) for g, p in alone.items()}
            total_N2 += np.array([more[gate] for gate in gates])
        return total_N2


def networks(space: Space) -> Networks:
    """The distinct networks of `space` within its bounds on cost, listed anew.

    Raises:
        StudyError: the bounds leave none.
    """
    check_bounds(space)
    first: dict[str, int] = {}
    for point, spec in space:
        first.setdefault(spec.network_id, point)
    found = Networks(space, tuple(first.values()), tuple(first))
    if not space.is_bounded:
        return found
    return found.only(np.flatnonzero(_is_within(space, params=found.params_N, macs=found.macs_N)))


def meets_bounds(space: Space, spec: NetworkSpec) -> bool:
    """Whether a network is within the space's bounds on cost, if it has any."""
    if not space.is_bounded:
        return True
    from stacnet.cost import price

    return bool(_is_within(space, params=price(spec).params, macs=price(spec).macs))


def check_bounds(space: Space) -> None:
    """Refuse bounds that no network meets, as far as a list of a sampled study's would go.

    Raises:
        StudyError: the bounds.
    """
    if not any(meets_bounds(space, spec) for _, spec in islice(space, LARGEST)):
        raise StudyError(
            f"bounds must leave at least one network, got max_params_ratio="
            f"{space.max_params_ratio} max_macs_ratio={space.max_macs_ratio}"
        )


def is_too_large(study: Study) -> bool:
    """Whether the study goes without a list of its networks."""
    return study.space.size() > LARGEST and not isinstance(study.strategy, Exhaustive)


def num_networks(study: Study, among: Networks | None) -> int:
    """How many networks a study trains; None stands for a space that is not listed."""
    there = study.space.size() if among is None else len(among)
    return there if isinstance(study.strategy, Exhaustive) else min(study.strategy.trials, there)


def num_trainings(study: Study, among: Networks | None) -> int:
    """How many trainings that is: each network with each of the study's own seeds."""
    return num_networks(study, among) * len(study.seeds)


def _is_within(space: Space, *, params: Any, macs: Any) -> Any:
    """Of numbers, or of arrays of them."""
    from stacnet.cost import cost

    most_params, most_macs = space.max_params_ratio or np.inf, space.max_macs_ratio or np.inf
    vanilla = cost(space.base)
    return (params / vanilla.params <= most_params) & (macs / vanilla.macs <= most_macs)


def _alone(vanilla: NetworkSpec, stage: int, attention: Attention) -> NetworkSpec:
    stages: list[Attention] = [None] * len(vanilla.blocks)
    stages[stage] = attention
    return replace(vanilla, attention=tuple(stages))
