"""What the attention of one stage is: a frozen value, and its canonical form on a given map."""

from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any, Literal, get_args, get_origin

from stacnet.fields import is_whole

AttentionKind = Literal["stac", "se", "ge", "scconv", "static"]
Pool = Literal["avg", "max", "both"]
Upsample = Literal["nearest", "bilinear"]
Fuse = Literal["mul", "mul_res", "affine"]
Padding = Literal["zeros", "reflect", "circular"]
Norm = Literal["none", "batch"]
Position = Literal["post", "mid"]
Placement = Literal["all", "last"] | tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class AttentionSpec:
    """The attention of one stage.

    Args:
        kind: `stac`; `se` (STAC at scale 1, kernel 1); `ge` (Gather-Excite with a 1x1 MLP);
            `scconv` (pool, convolution, upsample, sigmoid; no hidden channels); `static` (the
            control: a learned number per channel and cell, that never looks at the image).
        scale: cells per side of the pooled map that the gate sees; None is native, no pooling.
        kernel: side of the gate's convolutions, odd, cells.
        reduction: hidden channels are max(1, round(channels / reduction)).
        pool: how a cell is condensed; `both` is half the average plus half the maximum.
        upsample: how the gate returns to the map's size (bilinear: align_corners=False).
        fuse: `mul` V*U, `mul_res` V + a*V*U with a = 0 at the start, `affine` S*V + up(A) with
            S = 1 at the start; a and S are learned scalars.
        padding: border of the gate's convolutions; zeros make position visible.
        norm: between the embedding convolution (then without bias) and its activation.
        position: `post` (the block's last norm, before the addition) or `mid` (the norm before
            it, before its activation).
        placement: the blocks of the stage that carry it: all, the last, or these block numbers.

    Raises:
        ValueError: the rule that is broken, then the value.
    """

    kind: AttentionKind = "stac"
    scale: int | None = None
    kernel: int = 3
    reduction: int = 16
    pool: Pool = "avg"
    upsample: Upsample = "nearest"
    fuse: Fuse = "mul"
    padding: Padding = "zeros"
    norm: Norm = "none"
    position: Position = "post"
    placement: Placement = "all"

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be one of {choices}, got {getattr(self, name)!r}")
        for name in ("scale", "kernel", "reduction"):
            value = getattr(self, name)
            if not is_whole(value, 1) and not (name == "scale" and value is None):
                raise ValueError(
                    f"{name} must be a whole number of at least 1, got {name}={value!r}"
                )
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel must be odd, got kernel={self.kernel}")
        is_numbers = isinstance(self.placement, tuple) and all(is_whole(n) for n in self.placement)
        if not is_numbers and self.placement not in ("all", "last"):
            raise ValueError(
                f"placement must be all, last or a tuple of block numbers, got {self.placement!r}"
            )

    def is_in_block(self, index: int, num_blocks: int) -> bool:
        """Whether block `index` of a stage of `num_blocks` carries the attention."""
        if isinstance(self.placement, tuple):
            return index in self.placement
        return self.placement == "all" or index == num_blocks - 1


Attention = AttentionSpec | None
OPTIONS = tuple(field.name for field in fields(AttentionSpec) if field.name != "scale")
CHOICES = {
    field.name: get_args(field.type)
    for field in fields(AttentionSpec)
    if get_origin(field.type) is Literal
}
# Which fields a kind leaves free; the others are reset, and are not stored.
_SITE = frozenset({"position", "placement"})
LIVE_FIELDS: dict[AttentionKind, frozenset[str]] = {
    "stac": frozenset(OPTIONS) - {"kind"} | {"scale"},
    "se": _SITE | {"reduction"},
    "ge": _SITE | {"scale", "reduction"},
    "scconv": _SITE | {"scale", "kernel"},
    "static": _SITE | {"scale", "upsample"},
}
_DEFAULTS = AttentionSpec()


def live_dict(attention: AttentionSpec) -> dict[str, Any]:
    """The fields that exist for this kind, as plain values."""
    plain = {name: getattr(attention, name) for name in sorted(LIVE_FIELDS[attention.kind])}
    return {"kind": attention.kind, **plain}


def hidden_channels(channels: int, reduction: int) -> int:
    """Channels between the gate's two convolutions."""
    return max(1, round(channels / reduction))


def check_scale(scale: int | None, *, size: int, place: str) -> None:
    """Refuse a scale that somebody typed and that the map of a place cannot hold.

    Raises:
        ValueError: the scale is larger than the map.
    """
    if scale is not None and scale > size:
        raise ValueError(
            f"scale must not exceed the map of its stage, got scale={scale} for {place} "
            f"with a {size}x{size} map (say native for no pooling)"
        )


@lru_cache(maxsize=100_000)
def canonical(
    attention: AttentionSpec, *, channels: int, size: int, num_blocks: int
) -> AttentionSpec | None:
    """The attention with every field that has no effect reset; None if no block carries it.

    Args:
        channels: of the tensor it receives.
        size: side of that tensor's map, pixels.
        num_blocks: of the stage.

    Raises:
        ValueError: placement names a block that the stage does not have.
    """
    placement = _canonical_placement(attention.placement, num_blocks)
    if placement is None:
        return None
    attention = _as_stac(replace(attention, placement=placement), size)
    cells = min(attention.scale or size, size)
    changes: dict[str, Any] = {
        "scale": None if cells == size > 1 and attention.kind != "static" else cells,
        "kernel": min(attention.kernel, 2 * cells - 1),
        "reduction": _canonical_reduction(attention.reduction, channels),
    }
    if cells == 2 and attention.padding == "circular":
        changes["padding"] = "reflect"  # both borders of a pair repeat its other cell
    inert = set(LIVE_FIELDS["stac"] - LIVE_FIELDS[attention.kind])
    inert |= {"pool", "upsample"} if cells == size else set()
    inert |= {"upsample"} if cells == 1 else set()
    inert |= {"padding"} if changes["kernel"] == 1 else set()
    changes |= {name: getattr(_DEFAULTS, name) for name in inert}
    if attention.kind == "ge":
        changes["kernel"] = 1
    attention = replace(attention, **changes)
    if attention == _plain_gate(attention, kind="stac", scale=1):
        return _plain_gate(attention, kind="se", scale=1)
    return attention


def _as_stac(attention: AttentionSpec, size: int) -> AttentionSpec:
    """The same gate as `stac`, where it is one."""
    match attention.kind:
        case "se":
            return _plain_gate(attention, kind="stac", scale=1)
        case "ge":
            extent = -(-size // min(attention.scale or size, size))
            cells = -(-size // extent)  # windows of that extent that the map holds
            kind = "stac" if cells in (1, size) else "ge"
            return _plain_gate(attention, kind=kind, scale=cells)
        case "stac" | "scconv" | "static":
            return attention


def _plain_gate(attention: AttentionSpec, *, kind: AttentionKind, scale: int) -> AttentionSpec:
    """A gate of 1x1 convolutions with this reduction, position and placement."""
    return AttentionSpec(
        kind=kind,
        scale=scale,
        kernel=1,
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
