"""The distinct networks of a space as arrays: scale per stage, MACs, parameters.

Shapes: N distinct networks in the order of their first point, T stages.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from search.study.space import Space
from stacnet.cost import Cost, cost
from stacnet.spec import Attention, NetworkSpec


@dataclass(frozen=True, eq=False)
class Candidates:
    """What a predictor may choose from.

    Args:
        space: where they come from.
        network_ids, specs: of each network.
        points_N: first point of the space that is this network.
    """

    space: Space
    network_ids: tuple[str, ...]
    specs: tuple[NetworkSpec, ...]
    points_N: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.network_ids)

    @cached_property
    def cells_NT(self) -> NDArray[np.int64]:
        """Cells per side of each stage's gate; 0 where the stage has none."""
        return np.array([_cells(spec) for spec in self.specs])

    @cached_property
    def open_T(self) -> NDArray[np.bool_]:
        """Whether any network has attention in this stage."""
        return np.any(self.cells_NT > 0, axis=0)

    @cached_property
    def macs_N(self) -> NDArray[np.int64]:
        """Multiply-accumulates of one image."""
        return self._additive(lambda counted: counted.macs)

    @cached_property
    def params_N(self) -> NDArray[np.int64]:
        """Parameters."""
        return self._additive(lambda counted: counted.params)

    def _additive(self, quantity: Callable[[Cost], int]) -> NDArray[np.int64]:
        """Vanilla plus each stage's gates counted alone; gates share nothing, so this is exact."""
        vanilla = self.space.base
        base = quantity(cost(vanilla))
        deltas: dict[tuple[int, Attention], int] = {}
        totals = []
        for spec in self.specs:
            for site in enumerate(spec.attention):
                if site not in deltas:
                    deltas[site] = quantity(cost(_alone(vanilla, *site))) - base
            totals.append(base + sum(deltas[site] for site in enumerate(spec.attention)))
        return np.array(totals, dtype=np.int64)


def candidates(space: Space) -> Candidates:
    """The distinct networks of `space` within its bounds on cost."""
    points = list(space.first_index.values())
    found = Candidates(
        space, tuple(space.first_index), tuple(map(space.spec, points)), np.array(points)
    )
    if space.max_params_ratio is None and space.max_macs_ratio is None:
        return found
    vanilla = cost(space.base)
    allowed_N = (found.params_N <= (space.max_params_ratio or np.inf) * vanilla.params) & (
        found.macs_N <= (space.max_macs_ratio or np.inf) * vanilla.macs
    )
    kept = np.flatnonzero(allowed_N)
    return Candidates(
        space,
        tuple(found.network_ids[i] for i in kept),
        tuple(found.specs[i] for i in kept),
        found.points_N[kept],
    )


def _cells(spec: NetworkSpec) -> tuple[int, ...]:
    return tuple(
        0 if attention is None else attention.scale or size
        for attention, size in zip(spec.attention, spec.map_sizes, strict=True)
    )


def _alone(vanilla: NetworkSpec, stage: int, attention: Attention) -> NetworkSpec:
    stages: list[Attention] = [None] * len(vanilla.blocks)
    stages[stage] = attention
    return replace(vanilla, attention=tuple(stages))
