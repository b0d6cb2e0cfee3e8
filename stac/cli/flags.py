"""Flags that describe one network and how it is trained; cheap to import."""

from dataclasses import dataclass
from typing import Annotated, Literal

from tyro.conf import Positional, UseAppendAction, arg

from stacnet.attention_spec import AttentionKind, Fuse, Norm, Padding, Pool, Position, Upsample

Overrides = Annotated[UseAppendAction[tuple[tuple[str, ...], ...]], arg(metavar="FIELD=VALUE")]
Folder = Annotated[Positional[str], arg(name="DIR", metavar="DIR")]


@dataclass(frozen=True, kw_only=True)
class NetworkFlags:
    """One network. Without --scale and --attention it is vanilla."""

    depth: int = 50
    """number in the ResNet's name: 8 20 32 56 (three stages), 10 18 34 50 101 152"""
    width: int | None = None
    """inner channels of the first stage; 64, or 16 for three stages"""
    stem: Literal["s1", "s2", "imagenet"] = "s1"
    """3x3 stride 1; 7x7 stride 2; 7x7 stride 2 and max-pool"""
    input_size: int | None = None
    """side of the image, pixels; 64, or that of the data (train)"""
    in_channels: int | None = None
    """channels of the image; 3, or those of the data (train)"""
    classes: int | None = None
    """number of logits; 1000, or that of the data (train)"""
    stage_kernels: str | None = None
    """convolutions of each stage, 3 or 1 (patch-limited), such as 3,1,1"""
    attention: Literal["none", AttentionKind] | None = None
    """kind of attention; stac if --scale is given"""
    scale: str | None = None
    """cells per side: 2, native, or one per stage such as off,1,2,native"""
    kernel: int | None = None
    """side of the gate's convolutions, cells (3)"""
    reduction: int | None = None
    """channels / hidden channels of the gate (16)"""
    pool: Pool | None = None
    """how a cell is condensed (avg)"""
    upsample: Upsample | None = None
    """gate to map (nearest)"""
    fuse: Fuse | None = None
    """how the gate acts (mul)"""
    padding: Padding | None = None
    """border of the gate's convolutions (zeros)"""
    norm: Norm | None = None
    """norm inside the gate (none)"""
    position: Position | None = None
    """where in the block (post)"""
    placement: str | None = None
    """blocks of each stage: all, last, or numbers such as 0,2 (all)"""


@dataclass(frozen=True, kw_only=True)
class DataFlags:
    """What is learned, and how."""

    data: str = "scalesignal"
    """scalesignal, shiftedlayouts, digits, or the name of prepared images (stac data prepare)"""
    override: Overrides = ()
    """fields of the recipe, such as epochs=3 data.grid=2; may be repeated"""
