"""What a network is: one frozen, canonical value that builds, prices, stores and hashes it."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Literal, get_args

from stacnet.attention_spec import (
    LIVE_FIELDS,
    Attention,
    AttentionKind,
    AttentionSpec,
    Placement,
    canonical,
    check_scale,
    hidden_channels,
    live_dict,
)
from stacnet.fields import from_plain, is_whole
from stacnet.ids import short_hash
from stacnet.named_spec import NamedSpec

__all__ = [
    "LIVE_FIELDS",
    "Attention",
    "AttentionKind",
    "AttentionSpec",
    "NamedSpec",
    "NetworkSpec",
    "Placement",
    "ResNetSpec",
    "check_scale_fits",
    "hidden_channels",
    "live_dict",
    "resnet",
    "spec_from_dict",
]

Block = Literal["basic", "bottleneck"]
Stem = Literal["s1", "s2", "imagenet"]

EXPANSION = {"basic": 1, "bottleneck": 4}
NAMED_DEPTHS: dict[int, tuple[Block, tuple[int, ...]]] = {
    8: ("basic", (1, 1, 1)),
    20: ("basic", (3, 3, 3)),
    32: ("basic", (5, 5, 5)),
    56: ("basic", (9, 9, 9)),
    10: ("basic", (1, 1, 1, 1)),
    18: ("basic", (2, 2, 2, 2)),
    34: ("basic", (3, 4, 6, 3)),
    50: ("bottleneck", (3, 4, 6, 3)),
    101: ("bottleneck", (3, 4, 23, 3)),
    152: ("bottleneck", (3, 8, 36, 3)),
}


@dataclass(frozen=True, kw_only=True)  # without slots: it remembers its id
class ResNetSpec:
    """A residual network with at most one kind of attention per stage, in canonical form.

    Construction canonicalises what has no effect (a scale at or above the map is native, a kernel
    reaches at most 2*scale-1 cells, fields of an absent part go back to their defaults), so equal
    networks are equal values and have equal `network_id`.

    Args:
        block: `basic` (3x3, 3x3) or `bottleneck` (1x1, 3x3, 1x1 with expansion 4).
        blocks: number of blocks per stage; every stage after the first halves the map.
        widths: inner channels of each stage.
        stem: `s1` 3x3 stride 1, `s2` 7x7 stride 2, `imagenet` 7x7 stride 2 and max-pool.
        kernels: side of the blocks' spatial convolutions per stage, 3, or 1 in patch-limited nets.
        input_size: side of the square input, pixels.
        in_channels: channels of the input.
        classes: number of logits.
        attention: per stage, None for none.

    Raises:
        ValueError: the rule that is broken, then the value.
    """

    block: Block
    blocks: tuple[int, ...]
    widths: tuple[int, ...]
    stem: Stem = "s1"
    kernels: tuple[int, ...] = ()
    input_size: int = 64
    in_channels: int = 3
    classes: int = 1000
    attention: tuple[Attention, ...] = ()

    def __post_init__(self) -> None:
        _check_whole_numbers("blocks", self.blocks)
        num_stages = len(self.blocks)
        object.__setattr__(self, "kernels", self.kernels or (3,) * num_stages)
        object.__setattr__(self, "attention", self.attention or (None,) * num_stages)
        for name, choices in (("block", get_args(Block)), ("stem", get_args(Stem))):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be one of {choices}, got {getattr(self, name)!r}")
        for name in ("widths", "kernels"):
            _check_whole_numbers(name, getattr(self, name))
        for name in ("input_size", "in_channels", "classes"):
            if not is_whole(value := getattr(self, name), 1):
                raise ValueError(
                    f"{name} must be a whole number of at least 1, got {name}={value!r}"
                )
        if not all(one is None or isinstance(one, AttentionSpec) for one in self.attention):
            raise ValueError(f"attention must be AttentionSpec or None, got {self.attention}")
        for name in ("widths", "kernels", "attention"):
            if len(getattr(self, name)) != num_stages:
                raise ValueError(
                    f"{name} must have one entry per stage, got {name}={getattr(self, name)} "
                    f"for {num_stages} stages"
                )
        if not set(self.kernels) <= {1, 3}:
            raise ValueError(f"kernels of stages must be 1 or 3, got kernels={self.kernels}")
        object.__setattr__(self, "attention", tuple(self._canonical_attention()))

    def _canonical_attention(self) -> Iterator[Attention]:
        for stage, (attention, size) in enumerate(zip(self.attention, self.map_sizes, strict=True)):
            yield attention and canonical(
                attention,
                channels=self.site_channels(stage, attention.position),
                size=size,
                num_blocks=self.blocks[stage],
            )

    @property
    def map_sizes(self) -> tuple[int, ...]:
        """Side of each stage's output map, pixels."""
        size = self.input_size
        for _ in range({"s1": 0, "s2": 1, "imagenet": 2}[self.stem]):
            size = -(-size // 2)
        sizes = [size]
        for _ in self.blocks[1:]:
            sizes.append(-(-sizes[-1] // 2))
        return tuple(sizes)

    @property
    def depth(self) -> int:
        """Layers with weights on the main path: the number in a ResNet's name."""
        return (2 if self.block == "basic" else 3) * sum(self.blocks) + 2

    @property
    def vanilla(self) -> "ResNetSpec":
        """The same network without attention."""
        return replace(self, attention=())

    def stage_channels(self, stage: int) -> int:
        """Channels of a stage's output."""
        return self.widths[stage] * EXPANSION[self.block]

    def site_channels(self, stage: int, position: str) -> int:
        """Channels of the tensor that attention at `position` of `stage` receives."""
        return self.stage_channels(stage) if position == "post" else self.widths[stage]

    @property
    def title(self) -> str:
        """In words."""
        kernels = "x".join(map(str, self.kernels))
        return f"a ResNet-{self.depth} of width {self.widths[0]} (stage kernels {kernels})"

    def gate_channels(self, stage: int) -> list[int]:
        """Channels that each gate of a stage receives."""
        attention, num_blocks = self.attention[stage], self.blocks[stage]
        if attention is None:
            return []
        num_gates = sum(attention.is_in_block(index, num_blocks) for index in range(num_blocks))
        return [self.site_channels(stage, attention.position)] * num_gates

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; attention fields that do not exist for their kind are left out."""
        plain = asdict(self)
        plain["attention"] = [attention and live_dict(attention) for attention in self.attention]
        return plain

    @cached_property
    def network_id(self) -> str:
        """16 hex digits; equal for equal networks."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return short_hash(text)


NetworkSpec = ResNetSpec | NamedSpec


def spec_from_dict(plain: dict[str, Any]) -> NetworkSpec:
    """Inverse of `to_dict`, of either kind.

    Raises:
        ValueError: a field is unknown or missing.
    """
    if "kind" in plain:
        return from_plain(NamedSpec, plain)
    try:
        stages = [a and AttentionSpec(**_tuples(a)) for a in plain.get("attention", [])]
        return ResNetSpec(**{**_tuples(plain), "attention": tuple(stages)})
    except TypeError as error:
        raise ValueError(f"network description does not fit: {error}, got {plain}") from None


def resnet(
    depth: int = 50,
    *,
    width: int | None = None,
    attention: Attention | tuple[Attention, ...] = None,
    **shape: Any,
) -> ResNetSpec:
    """A ResNet by its name: 18, 34, 50, 101, 152, 10 (four stages), 8, 20, 32, 56 (three stages).

    Args:
        depth: number in the network's name.
        width: inner channels of the first stage, doubled by each further stage; by default 64,
            and 16 for the three-stage family.
        attention: one value for all stages, or one per stage.
        shape: further fields of `ResNetSpec`.
    """
    if depth not in NAMED_DEPTHS:
        raise ValueError(f"depth must be one of {sorted(NAMED_DEPTHS)}, got depth={depth}")
    block, blocks = NAMED_DEPTHS[depth]
    first = width if width is not None else (64 if len(blocks) == 4 else 16)
    widths = tuple(first * 2**stage for stage in range(len(blocks)))
    stages = attention if isinstance(attention, tuple) else (attention,) * len(blocks)
    return ResNetSpec(block=block, blocks=blocks, widths=widths, attention=stages, **shape)


def check_scale_fits(spec: NetworkSpec, stage: int, scale: int | None) -> None:
    """Refuse a scale that somebody typed and that the stage's map cannot hold.

    Raises:
        ValueError: the scale is larger than the map.
    """
    check_scale(scale, size=spec.map_sizes[stage], place=f"stage {stage + 1}")


def _check_whole_numbers(name: str, numbers: tuple[int, ...]) -> None:
    if not isinstance(numbers, tuple) or not numbers or not all(is_whole(n, 1) for n in numbers):
        raise ValueError(f"{name} must be whole numbers of at least 1, got {name}={numbers}")


def _tuples(plain: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(v) if isinstance(v, list) else v for key, v in plain.items()}
