"""What a network is: one frozen, canonical value that builds, prices, stores and hashes it."""

import hashlib
import json
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache
from typing import Any, Literal

AttentionKind = Literal["stac", "se", "ge", "scconv"]
Block = Literal["basic", "bottleneck"]
Stem = Literal["s1", "s2", "imagenet"]
Placement = Literal["all", "last"] | tuple[int, ...]

EXPANSION = {"basic": 1, "bottleneck": 4}
STEM_STRIDE = {"s1": 1, "s2": 2, "imagenet": 4}
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
# Which fields a kind has; the others vanish (are reset to their defaults, and are not stored).
LIVE_FIELDS: dict[AttentionKind, frozenset[str]] = {
    "stac": frozenset(
        {
            "scale",
            "kernel",
            "reduction",
            "pool",
            "upsample",
            "fuse",
            "padding",
            "norm",
            "position",
            "placement",
        }
    ),  # fmt: skip
    "se": frozenset({"scale", "kernel", "reduction", "position", "placement"}),
    "ge": frozenset({"scale", "reduction", "position", "placement"}),
    "scconv": frozenset({"scale", "kernel", "position", "placement"}),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class AttentionSpec:
    """The attention of one stage.

    Args:
        kind: `stac`; `se` (STAC at scale 1, kernel 1); `ge` (Gather-Excite with a 1x1 MLP);
            `scconv` (pool, 3x3, upsample, sigmoid).
        scale: cells per side of the pooled map the gate is computed on; None is native (no pooling).
        kernel: side of the gate's two convolutions, odd, cells.
        reduction: hidden channels are max(1, round(channels / reduction)).
        pool: how a cell is condensed; `both` is half the average plus half the maximum.
        upsample: how the gate returns to the map's size (bilinear: align_corners=False).
        fuse: `mul` V*U, `mul_res` V + a*V*U with a = 0 at the start, `affine` S*V + up(A).
        padding: border of the gate's convolutions; zeros make position visible.
        norm: between the embedding convolution and its activation.
        position: `post` (the block's last norm, before the addition) or `mid` (the middle norm).
        placement: the blocks of the stage that carry it: all, the last, or these block numbers.
    """

    kind: AttentionKind = "stac"
    scale: int | None = None
    kernel: int = 3
    reduction: int = 16
    pool: Literal["avg", "max", "both"] = "avg"
    upsample: Literal["nearest", "bilinear"] = "nearest"
    fuse: Literal["mul", "mul_res", "affine"] = "mul"
    padding: Literal["zeros", "reflect", "circular"] = "zeros"
    norm: Literal["none", "batch"] = "none"
    position: Literal["post", "mid"] = "post"
    placement: Placement = "all"

    def __post_init__(self) -> None:
        if self.scale is not None and self.scale < 1:
            raise ValueError(f"scale must be at least 1, got scale={self.scale}")
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise ValueError(f"kernel must be odd and at least 1, got kernel={self.kernel}")
        if self.reduction < 1:
            raise ValueError(f"reduction must be at least 1, got reduction={self.reduction}")


Attention = AttentionSpec | None
ATTENTION_DEFAULTS = AttentionSpec()


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkSpec:
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
        num_stages = len(self.blocks)
        object.__setattr__(self, "kernels", self.kernels or (3,) * num_stages)
        object.__setattr__(self, "attention", self.attention or (None,) * num_stages)
        for name in ("widths", "kernels", "attention"):
            if len(getattr(self, name)) != num_stages:
                raise ValueError(
                    f"{name} must have one entry per stage, got {name}={getattr(self, name)} "
                    f"for {num_stages} stages"
                )
        if not self.blocks or min(self.blocks) < 1 or min(self.widths) < 1:
            raise ValueError(
                f"stages need at least one block and one channel, got blocks={self.blocks} "
                f"widths={self.widths}"
            )
        if not set(self.kernels) <= {1, 3}:
            raise ValueError(f"kernels of stages must be 1 or 3, got kernels={self.kernels}")
        if min(self.input_size, self.in_channels, self.classes) < 1:
            raise ValueError(
                f"input_size, in_channels and classes must be at least 1, got "
                f"{self.input_size}, {self.in_channels}, {self.classes}"
            )
        canonical = tuple(
            attention and _canonical(attention, self, stage)
            for stage, attention in enumerate(self.attention)
        )
        object.__setattr__(self, "attention", canonical)

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
    def vanilla(self) -> "NetworkSpec":
        """The same network without attention."""
        return replace(self, attention=())

    def site_channels(self, stage: int, position: str) -> int:
        """Channels of the tensor that attention at `position` of `stage` receives."""
        expansion = EXPANSION[self.block] if position == "post" else 1
        return self.widths[stage] * expansion

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; attention fields that do not exist for their kind are left out."""
        plain = asdict(self)
        plain["attention"] = [attention and live_dict(attention) for attention in self.attention]
        return plain

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> "NetworkSpec":
        """Inverse of `to_dict`.

        Raises:
            ValueError: a field is unknown or missing.
        """
        try:
            stages = [a and AttentionSpec(**_tuples(a)) for a in plain.get("attention", [])]
            return cls(**{**_tuples(plain), "attention": tuple(stages)})
        except TypeError as error:
            raise ValueError(f"network description does not fit: {error}, got {plain}") from None

    @property
    def network_id(self) -> str:
        """16 hex digits; equal for equal networks."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def live_dict(attention: AttentionSpec) -> dict[str, Any]:
    """The fields that exist for this kind, as plain values."""
    plain = {name: getattr(attention, name) for name in sorted(LIVE_FIELDS[attention.kind])}
    return {"kind": attention.kind, **plain}


def resnet(
    depth: int = 50,
    *,
    width: int | None = None,
    attention: Attention | tuple[Attention, ...] = None,
    **shape: Any,
) -> NetworkSpec:
    """A ResNet by its name: 18, 34, 50, 101, 152, 10 (four stages), 8, 20, 32, 56 (three stages).

    Args:
        depth: number in the network's name.
        width: inner channels of the first stage, doubled by each further stage; by default 64,
            and 16 for the three-stage family.
        attention: one value for all stages, or one per stage.
        shape: further fields of `NetworkSpec`.
    """
    if depth not in NAMED_DEPTHS:
        raise ValueError(f"depth must be one of {sorted(NAMED_DEPTHS)}, got depth={depth}")
    block, blocks = NAMED_DEPTHS[depth]
    first = width if width is not None else (64 if len(blocks) == 4 else 16)
    widths = tuple(first * 2**stage for stage in range(len(blocks)))
    stages = attention if isinstance(attention, tuple) else (attention,) * len(blocks)
    return NetworkSpec(block=block, blocks=blocks, widths=widths, attention=stages, **shape)


def check_scale_fits(spec: NetworkSpec, stage: int, scale: int | None) -> None:
    """Refuse a scale that somebody typed and that the stage's map cannot hold.

    Raises:
        ValueError: the scale is larger than the map.
    """
    size = spec.map_sizes[stage]
    if scale is not None and scale > size:
        raise ValueError(
            f"scale must not exceed the map of its stage, got scale={scale} for stage {stage + 1} "
            f"with a {size}x{size} map (say native for no pooling)"
        )


def _canonical(attention: AttentionSpec, spec: NetworkSpec, stage: int) -> Attention:
    """The attention with every field that has no effect reset; None if no block carries it."""
    channels = spec.site_channels(stage, attention.position)
    return _canonical_at(attention, channels, spec.map_sizes[stage], spec.blocks[stage])


@lru_cache(maxsize=100_000)
def _canonical_at(attention: AttentionSpec, channels: int, size: int, num_blocks: int) -> Attention:
    if attention.kind == "se":
        attention = replace(attention, scale=1, kernel=1)
    placement = _canonical_placement(attention.placement, num_blocks)
    if placement is None:
        return None
    cells = min(attention.scale or size, size)
    changes: dict[str, Any] = {
        "scale": None if cells == size > 1 else cells,
        "kernel": min(attention.kernel, 2 * cells - 1),
        "placement": placement,
        "reduction": _canonical_reduction(attention.reduction, channels),
    }
    inert = {name for name in _FIELD_NAMES if name not in LIVE_FIELDS[attention.kind]}
    if cells == size:
        inert |= {"pool", "upsample"}
    if cells == 1:
        inert |= {"upsample"}
    if changes["kernel"] == 1:
        inert |= {"padding"}
    changes |= {name: getattr(ATTENTION_DEFAULTS, name) for name in inert}
    canonical = replace(attention, **changes)
    kind = canonical.kind
    if kind in ("stac", "ge") and canonical == _squeeze_excite(canonical, kind=kind):
        return _squeeze_excite(canonical, kind="se")
    return canonical


_FIELD_NAMES = tuple(field.name for field in fields(AttentionSpec) if field.name != "kind")


def _squeeze_excite(attention: AttentionSpec, *, kind: AttentionKind) -> AttentionSpec:
    """SE with this reduction, position and placement, as each kind that can be SE writes it."""
    return AttentionSpec(
        kind=kind,
        scale=1,
        kernel=ATTENTION_DEFAULTS.kernel if kind == "ge" else 1,
        reduction=attention.reduction,
        position=attention.position,
        placement=attention.placement,
    )


def _canonical_reduction(reduction: int, channels: int) -> int:
    """One reduction for all that give the same number of hidden channels."""
    hidden = hidden_channels(channels, reduction)
    nearest = round(channels / hidden)
    if hidden_channels(channels, nearest) == hidden:
        return nearest
    return next(r for r in range(1, reduction + 1) if hidden_channels(channels, r) == hidden)


def hidden_channels(channels: int, reduction: int) -> int:
    """Channels between the gate's two convolutions."""
    return max(1, round(channels / reduction))


def _canonical_placement(placement: Placement, num_blocks: int) -> Placement | None:
    if isinstance(placement, tuple):
        if placement and not 0 <= min(placement) <= max(placement) < num_blocks:
            raise ValueError(
                f"placement must name blocks 0 to {num_blocks - 1}, got placement={placement}"
            )
        chosen = sorted(set(placement))
    else:
        chosen = list(range(num_blocks)) if placement == "all" else [num_blocks - 1]
    if not chosen:
        return None
    if len(chosen) == num_blocks:
        return "all"
    return "last" if chosen == [num_blocks - 1] else tuple(chosen)


def _tuples(plain: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(v) if isinstance(v, list) else v for key, v in plain.items()}
