"""The networks a study may train: an enumerable product of choices, index <-> network."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Annotated, Literal, cast

from stacnet.attention_spec import (
    OPTIONS,
    AttentionKind,
    AttentionSpec,
    Fuse,
    Norm,
    Padding,
    Placement,
    Pool,
    Position,
    Upsample,
)
from stacnet.fields import Count, Rule, check_fields
from stacnet.spec import NetworkSpec, check_scale_fits

ORDERED = ("kernel", "reduction")
Scale = Count | Literal["off", "native"]
Scales = tuple[tuple[Scale, ...], ...]  # one tuple of choices per stage
GivenScales = Annotated[
    Scales | tuple[Scale, ...],
    Rule(
        "per stage a tuple of whole numbers of at least 1, off or native; or one for every stage",
        lambda scales: True,
    ),
]
Ratio = Annotated[float, Rule("a number of at least 1 (vanilla's own)", lambda x: x >= 1)]


@dataclass(frozen=True, kw_only=True)
class Factor:
    """One coordinate of a space.

    Args:
        name: field name; `s1_scale` for the first stage's scale.
        choices: what it can be.
        ordered: whether neighbours in `choices` are similar (a sampler may use it).
    """

    name: str
    choices: tuple[int | str | tuple[int, ...], ...]
    ordered: bool


@dataclass(frozen=True, kw_only=True)
class Space:
    """All ways to put attention into one vanilla network.

    Points are numbered 0 .. size()-1 in mixed radix, first factor slowest; point 0 need not be
    vanilla. Different points can be the same network; `network_id` tells.

    Args:
        base: the vanilla network.
        scales: per stage, the scales it may take: a number of cells per side, `native`, or `off`;
            one tuple of them holds for every stage, and is kept as one per stage.
        kinds ... placements: settings shared by all stages that carry attention, one field for
            each of `OPTIONS`.
        max_params_ratio, max_macs_ratio: bounds on cost against vanilla, None for none; gates
            only add, so that nothing is below 1.

    Raises:
        ValueError: a scale does not fit its stage's map, a factor is empty, base has attention.
    """

    base: NetworkSpec
    scales: GivenScales
    kinds: tuple[AttentionKind, ...] = ("stac",)
    kernels: tuple[Count, ...] = (3,)
    reductions: tuple[Count, ...] = (16,)
    pools: tuple[Pool, ...] = ("avg",)
    upsamples: tuple[Upsample, ...] = ("nearest",)
    fuses: tuple[Fuse, ...] = ("mul",)
    paddings: tuple[Padding, ...] = ("zeros",)
    norms: tuple[Norm, ...] = ("none",)
    positions: tuple[Position, ...] = ("post",)
    placements: tuple[Placement, ...] = ("all",)
    max_params_ratio: Ratio | None = None
    max_macs_ratio: Ratio | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        if self.scales and not any(isinstance(one, tuple) for one in self.scales):
            object.__setattr__(self, "scales", (self.scales,) * len(self.base.blocks))
        if self.base != self.base.vanilla:
            raise ValueError(f"base of a space must be vanilla, got {self.base.attention}")
        if len(self.scales) != len(self.base.blocks):
            raise ValueError(
                f"scales must have one entry per stage, got {len(self.scales)} entries for "
                f"{len(self.base.blocks)} stages"
            )
        for stage, choices in enumerate(self.stage_scales):
            for scale in choices:
                if isinstance(scale, int):
                    check_scale_fits(self.base, stage, scale)
        for factor in self.factors:
            if not factor.choices or len(set(factor.choices)) < len(factor.choices):
                raise ValueError(
                    f"choices must be distinct and not empty, got {factor.name}={factor.choices}"
                )
        self._check_choices()

    def _check_choices(self) -> None:
        """Build each choice once, in a network with attention wherever there can be: specs refuse.

        What makes a choice impossible is itself and its stage, never another choice.
        """
        present = [next((s for s in scales if s != "off"), "off") for scales in self.stage_scales]
        start = [
            scales.index(scale) for scales, scale in zip(self.stage_scales, present, strict=True)
        ]
        digits = (*start, *(0 for _ in self.factors[len(start) :]))
        for place, factor in enumerate(self.factors):
            for digit in range(len(factor.choices)):
                self.spec(self.index((*digits[:place], digit, *digits[place + 1 :])))

    @property
    def stage_scales(self) -> Scales:
        """The scales of each stage, as they are kept."""
        return cast(Scales, self.scales)

    @cached_property
    def factors(self) -> tuple[Factor, ...]:
        """The coordinates, in index order."""
        per_stage = tuple(
            Factor(name=f"s{stage + 1}_scale", choices=choices, ordered=True)
            for stage, choices in enumerate(self.stage_scales)
        )
        return per_stage + tuple(
            Factor(name=name, choices=getattr(self, f"{name}s"), ordered=name in ORDERED)
            for name in OPTIONS
        )

    def size(self) -> int:
        """Number of points."""
        return math.prod(len(factor.choices) for factor in self.factors)

    def digits(self, index: int) -> tuple[int, ...]:
        """Position of point `index` in each factor's choices."""
        if not 0 <= index < self.size():
            raise ValueError(f"index must be in 0..{self.size() - 1}, got {index=}")
        digits = []
        for factor in reversed(self.factors):
            index, digit = divmod(index, len(factor.choices))
            digits.append(digit)
        return tuple(reversed(digits))

    def index(self, digits: tuple[int, ...]) -> int:
        """Inverse of `digits`."""
        index = 0
        for factor, digit in zip(self.factors, digits, strict=True):
            index = index * len(factor.choices) + digit
        return index

    def spec(self, index: int) -> NetworkSpec:
        """The network at a point, canonical."""
        chosen = {
            factor.name: factor.choices[digit]
            for factor, digit in zip(self.factors, self.digits(index), strict=True)
        }
        stages = range(len(self.scales))
        scales = [chosen.pop(f"s{stage + 1}_scale") for stage in stages]
        attention = tuple(
            None if s == "off" else AttentionSpec(scale=None if s == "native" else s, **chosen)  # type: ignore[arg-type]
            for s in scales
        )
        return replace(self.base, attention=attention)

    @property
    def is_bounded(self) -> bool:
        """Whether networks must be priced before they are trained."""
        return self.max_params_ratio is not None or self.max_macs_ratio is not None

    def find(self, spec: NetworkSpec) -> int | None:
        """The first point that is this network, or None; also in a space too large to list.

        For each choice of the shared settings a stage's scale decides alone what the stage is.
        """
        if spec.vanilla != self.base:
            return None
        lengths = [len(scales) for scales in self.stage_scales]
        found = []
        for shared in product(*(range(len(f.choices)) for f in self.factors[len(lengths) :])):
            rows = (
                self.spec(self.index((*(min(digit, n - 1) for n in lengths), *shared))).attention
                for digit in range(max(lengths))
            )
            stages = list(zip(*rows, strict=True))
            if all(one in stage for one, stage in zip(spec.attention, stages, strict=True)):
                scales = (s.index(one) for one, s in zip(spec.attention, stages, strict=True))
                found.append(self.index((*scales, *shared)))
        return min(found, default=None)

    def __iter__(self) -> Iterator[tuple[int, NetworkSpec]]:
        for index in range(self.size()):
            yield index, self.spec(index)
