"""Which data a network is trained on: one frozen value for each kind; what it gives is in data/."""

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from stacnet.fields import (
    Count,
    Fraction,
    Name,
    NotNegative,
    Rule,
    Seed,
    Share,
    Whole,
    check_fields,
)

Checksum = Annotated[
    str, Rule("64 hex digits, or empty", lambda s: not s or re.fullmatch("[0-9a-f]{64}", s))
]


@dataclass(frozen=True, kw_only=True, slots=True)
class ScaleSignal:
    """Procedural images whose class is a layout of gratings on a g x g grid (see data/scalesignal).

    Args:
        grid: cells per side, g; even for layout classes. Pooled below g, all layouts look alike.
        layouts: number of layout classes, beside the two anchors (all +45, all -45 degrees).
        size: side of the image, pixels; a multiple of `grid`.
        noise: standard deviation of the white noise (the grating has amplitude about 1).
        flip: probability that a single cell shows the other orientation.
        jitter: largest random shift of the whole layout, pixels.
        gap: border of each cell without grating, pixels.
        second_grid: if not 0, half of the layout classes live on this grid instead.
        train, val, test: number of images per split.
        seed: of everything; an image depends on (seed, split, index) alone.
    """

    grid: Count = 4
    layouts: Count = 6
    size: Count = 16
    noise: NotNegative = 0.3
    flip: Share = 0.0
    jitter: Whole = 0
    gap: Whole = 0
    second_grid: Whole = 0
    train: Count = 2000
    val: Count = 1000
    test: Count = 1000
    seed: Seed = 0
    kind: Literal["scalesignal"] = "scalesignal"

    def __post_init__(self) -> None:
        check_fields(self)
        if self.second_grid == self.grid:
            raise ValueError(f"second_grid must be another grid, got {self.second_grid}")
        for name, grid in (("grid", self.grid), ("second_grid", self.second_grid or self.grid)):
            if grid < 2 or grid & (grid - 1):
                raise ValueError(f"{name} must be a power of two from 2, got {name}={grid}")
            used = self.layouts if not self.second_grid else -(-self.layouts // 2)
            most = 6 ** min(grid**2 // 4, 100)  # six 2x2 blocks sum to zero
            if used > most:
                raise ValueError(
                    f"layouts must be between 1 and what a {grid}x{grid} grid has ({most}), got "
                    f"layouts={self.layouts}"
                )
        fine = max(self.grid, self.second_grid)
        if self.size % fine or self.size // fine <= 2 * self.gap:
            raise ValueError(
                f"size must be a multiple of the grid with cells wider than two gaps, got "
                f"size={self.size} grid={fine} gap={self.gap}"
            )


DOT_GRID = 8  # dots per side
ORBITS = {2: 3, 4: 7, 8: 39}  # layouts that no shift turns into each other, by grid


@dataclass(frozen=True, kw_only=True, slots=True)
class ShiftedLayouts:
    """Procedural images of layouts under every shift, so that no template can solve them.

    See data/shifted.py for what a model that does not see the layout can reach at most.

    Args:
        pattern: what carries the sign of a cell: `grating` (+-45 degrees), seen by any filter, or
            `sawtooth` (rising or falling), seen by learned features only.
        grid: cells per side, g: 2, 4 or 8. Pooled below g, all layouts look alike.
        layouts: number of layout classes, beside the two anchors.
        size: side of the image, pixels; a multiple of `grid`.
        gap: blank border of each cell, pixels; from 1 on no 3x3 filter sees two patches.
        noise: standard deviation of the white noise (patches have amplitude about 1).
        flip: probability that a cell shows the other sign.
        dots: a second codeword on an 8x8 grid of bright and dark pixels: `none`, `hidden` (under
            either sign equally often), `shortcut` (right in training only) or `second` (anchors
            and layouts of their own, four pixels apart, under shifts of their own; the class is
            the pair).
        train, val, test: number of images per split; multiples of 2 * classes * grid**2 show each
            shift equally often.
        seed: of everything; an image depends on (seed, split, index) alone.
    """

    pattern: Literal["grating", "sawtooth"] = "sawtooth"
    grid: Count = 2
    layouts: Whole = 3
    size: Count = 32
    gap: Whole = 4
    noise: NotNegative = 0.1
    flip: Share = 0.0
    dots: Literal["none", "hidden", "shortcut", "second"] = "none"
    train: Count = 1000
    val: Count = 1000
    test: Count = 1000
    seed: Seed = 0
    kind: Literal["shiftedlayouts"] = "shiftedlayouts"

    def __post_init__(self) -> None:
        check_fields(self)
        if self.grid not in ORBITS:
            raise ValueError(f"grid must be one of {(*ORBITS,)}, got grid={self.grid}")
        if self.layouts > ORBITS[self.grid]:
            raise ValueError(
                f"layouts must be at most what a {self.grid}x{self.grid} grid has under shifts "
                f"({ORBITS[self.grid]}), got layouts={self.layouts}"
            )
        if self.size % self.grid or self.size // self.grid <= 2 * self.gap:
            raise ValueError(
                f"size must be a multiple of the grid with cells wider than two gaps, got "
                f"size={self.size} grid={self.grid} gap={self.gap}"
            )
        if self.dots == "second" and self.size % (4 * DOT_GRID):
            raise ValueError(
                f"size with a second layout of dots must be a multiple of {4 * DOT_GRID}, got "
                f"size={self.size}"
            )
        if self.dots != "none" and (self.size % DOT_GRID or self.size < 4 * DOT_GRID):
            raise ValueError(
                f"size with dots must be a multiple of {DOT_GRID} from {4 * DOT_GRID}, got "
                f"size={self.size}"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Digits:
    """scikit-learn's 1,797 handwritten digits of 8x8: a smoke test on real input.

    Args:
        val_fraction, test_fraction: shares split off, stratified and seeded.
        seed: of the split.
    """

    val_fraction: Fraction = 0.2
    test_fraction: Fraction = 0.2
    seed: Seed = 0
    kind: Literal["digits"] = "digits"

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """Images prepared once by `stac data prepare`; found by name under the data folder.

    Args:
        name: folder of the cache below `$STACNET_DATA` (default `~/.cache/stacnet`).
        checksum: of the cache; empty until a search begins, which fills in that of the cache it
            finds, so that rows say what was learned. What is filled in must be what is found.
        val_fraction: share of the training images, or of whole groups, to validate on; stratified.
        seed: of that split.
    """

    name: Name
    checksum: Checksum = ""
    val_fraction: Fraction = 0.05
    seed: Seed = 0
    kind: Literal["prepared"] = "prepared"

    def __post_init__(self) -> None:
        check_fields(self)


DataSpec = ScaleSignal | ShiftedLayouts | Digits | Prepared
