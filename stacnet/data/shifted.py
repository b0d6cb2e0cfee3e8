"""Shifted layouts: procedural images in which only a gate at the right scale can see the class.

An image is a g x g grid of cells, each with a patch whose sign is +1 or -1 (a grating of +45 or
-45 degrees, or a rising or falling sawtooth) amid a blank gap. Two anchor classes have one sign
everywhere. A layout class is a codeword that its images show shifted around the torus, by each
shift equally often.

Codewords alternate along rows or along columns, so that blocks of every even side sum to zero under
every shift: pooled below g x g, all layouts are the same in distribution. And for each cell alone
they are the same too: whoever adds up what single cells show, however weighted (any network that
sees one cell, any static gate on it), has no lower cross-entropy than one who counts signs, since
that loss is convex and every class is invariant under shifts. `blind_ceiling` is its accuracy. That
shifts and signs take turns makes it hold for the training images themselves, too, where the luck of
a draw would be learned by heart.

A sawtooth has, for both signs, equal means of every zero-mean filter behind a ReLU: features that
are not learned hardly see its sign. Dots on an 8 x 8 grid carry a second codeword of the class,
some of them flipped: `hidden` dots under either sign equally often, useless for every sum over
places, but near to each other for a neighbour search on pixels or random features; `shortcut` dots
tell the class in training, and another one in validation and test. Dots that are a `second` layout
make a class a pair: gates at the cells' scale see no dots, those at the dots' scale see cells as a
whole only if some 3x3 kernels reach from one patch to the next.

Shapes: N images, C classes, g cells per side, S pixels per side, G dots per side.
"""

from functools import lru_cache
from math import comb

import numpy as np

from stacnet.data.draws import Split, uniform
from stacnet.data.scalesignal import BALANCED_BLOCKS, LEVELS_PER_UNIT, NUM_ANCHORS
from stacnet.data_spec import DOT_GRID, ShiftedLayouts

DOT_FLIP = 0.1  # probability that a dot shows the other sign
DOT_LEVELS = LEVELS_PER_UNIT  # brightness of a dot against its surroundings
SHIFT_STEP = 5  # from one shift of the dots, in twos, to the next: visits all 16
NUM_DRAWS = 6  # of each cell: flip, phase, period, and contrast of each colour
CHUNK = 512  # images rendered at a time


def num_classes(spec: ShiftedLayouts) -> int:
    """Anchors and layouts; of dots that are a second layout, the pairs."""
    return (NUM_ANCHORS + spec.layouts) ** (2 if spec.dots == "second" else 1)


def dot_grid(spec: ShiftedLayouts) -> int:
    """Dots per side; those of a second layout are four pixels apart."""
    return spec.size // 4 if spec.dots == "second" else DOT_GRID


def blind_ceiling(spec: ShiftedLayouts) -> float:
    """Best accuracy of a model that knows how many cells show +1, and nothing of where they are.

    Exact, flips included. Two anchors and six layouts without flips give 0.375.
    """
    ceiling = _ceiling(spec, cells=spec.grid**2, flip=spec.flip)
    return ceiling * (
        _ceiling(spec, cells=dot_grid(spec) ** 2, flip=0.0) if spec.dots == "second" else 1
    )


def _ceiling(spec: ShiftedLayouts, *, cells: int, flip: float) -> float:
    shares_KC = [_binomial(cells, share=1 - flip), _binomial(cells, share=flip)]
    if spec.layouts:  # one of them is guessed
        half = cells // 2
        both = np.convolve(_binomial(half, share=1 - flip), _binomial(half, share=flip))
        shares_KC.append(both)
    return float(np.max(shares_KC, axis=0).sum() / (NUM_ANCHORS + spec.layouts))


def _binomial(num: int, *, share: float) -> np.ndarray:
    """How often 0, 1, ... `num` of `num` are drawn: (num + 1,)."""
    return np.array([comb(num, k) * share**k * (1 - share) ** (num - k) for k in range(num + 1)])


def orbits(grid: int) -> np.ndarray:
    """Codewords that no shift turns into each other: int8 (K, g, g) in {+1, -1}."""
    alternating = (-1) ** np.arange(grid)
    found: dict[bytes, np.ndarray] = {}
    for number in range(2**grid):
        signs = 1 - 2 * (number >> np.arange(grid) & 1)
        for word in (np.outer(signs, alternating), np.outer(alternating, signs)):
            word = word.astype(np.int8)
            found.setdefault(min(_shifts(word)), word)
    return np.stack(list(found.values()))


def _shifts(word: np.ndarray) -> list[bytes]:
    grid = len(word)
    return [np.roll(word, (i, j), (0, 1)).tobytes() for i in range(grid) for j in range(grid)]


@lru_cache(maxsize=16)
def codewords(spec: ShiftedLayouts) -> tuple[np.ndarray, np.ndarray]:
    """Signs of the cells (C, g, g), anchors first and unshifted, and of the dots (C, G, G); int8.

    The dots' aligned 2x2 blocks sum to zero, but for anchors: coarser pooling does not see them.
    """
    cells = _anchors_and_layouts(spec.grid, spec.layouts)
    if spec.dots == "second":
        second = _anchors_and_layouts(DOT_GRID, spec.layouts)
        second = np.tile(second, (1, dot_grid(spec) // DOT_GRID, dot_grid(spec) // DOT_GRID))
        return cells.repeat(len(second), axis=0), np.tile(second, (len(cells), 1, 1))
    rng = np.random.default_rng([spec.seed, spec.grid])
    half = DOT_GRID // 2
    blocks = BALANCED_BLOCKS[rng.integers(len(BALANCED_BLOCKS), size=(len(cells), half, half))]
    return cells, blocks.transpose(0, 1, 3, 2, 4).reshape(len(cells), DOT_GRID, DOT_GRID)


def _anchors_and_layouts(grid: int, layouts: int) -> np.ndarray:
    one = np.ones((1, grid, grid), np.int8)
    return np.concatenate([one, -one, orbits(grid)[:layouts]])


def generate(
    spec: ShiftedLayouts, *, split: Split, start: int = 0, stop: int
) -> tuple[np.ndarray, np.ndarray]:
    """Images start..stop-1 of a split, uint8 (N, 3, S, S), and labels int64 (N,).

    The label of image i is i modulo the number of classes, so splits are balanced.
    """
    labels_N = np.arange(start, stop) % num_classes(spec)
    parts = [
        _render(spec, split=split, start=first, labels_N=labels_N[first - start :][:CHUNK])
        for first in range(start, stop, CHUNK)
    ]
    return np.concatenate([np.empty((0, 3, spec.size, spec.size), np.uint8), *parts]), labels_N


def _render(spec: ShiftedLayouts, *, split: Split, start: int, labels_N: np.ndarray) -> np.ndarray:
    num, size, grid = len(labels_N), spec.size, spec.grid
    lengths = (size**2, NUM_DRAWS * grid**2, dot_grid(spec) ** 2, 1)
    u_ND = uniform(spec.seed, split, start=start, num=num, length=sum(lengths))
    pixels, cells, dots, other = np.split(u_ND, np.cumsum(lengths)[:-1], axis=1)
    noise_NSS = (pixels.reshape(num, size, size) - 0.5) * np.sqrt(12) * spec.noise
    turn_N = np.arange(start, start + num) // num_classes(spec)  # of its class
    sign_Ngg = _shifted(codewords(spec)[0][labels_N], *np.divmod(turn_N % grid**2, grid))
    patch_N3SS = _patches(spec, sign_Ngg, cells.reshape(num, NUM_DRAWS, grid, grid))
    grey_N3SS = 127.5 + LEVELS_PER_UNIT * (patch_N3SS + noise_NSS[:, None])
    if spec.dots != "none":
        others_N = (other[:, 0] * num_classes(spec)).astype(int)  # of any class
        told_N = others_N if spec.dots == "shortcut" and split != "train" else labels_N
        sign_NGG = _dots(spec, codewords(spec)[1][told_N], dots, turn_N)
        step = size // dot_grid(spec)
        first = 1 if spec.dots == "second" else step // 2  # 1: where strides see it, too
        grey_N3SS[:, :, first::step, first::step] += DOT_LEVELS * sign_NGG[:, None]
    return np.clip(np.rint(grey_N3SS), 0, 255).astype(np.uint8)


def _dots(
    spec: ShiftedLayouts, word_NGG: np.ndarray, u_ND: np.ndarray, turn_N: np.ndarray
) -> np.ndarray:
    """What an image shows of its class's second codeword: (N, G, G).

    Of four shifts in a row, those along the alternating axis cancel at each dot.
    """
    half = DOT_GRID // 2
    if spec.dots == "second":
        number_N, parity_N = np.divmod(turn_N // spec.grid**2, 4)
        down_N, right_N = np.divmod(number_N * SHIFT_STEP % half**2, half)
        return _shifted(word_NGG, 2 * down_N + parity_N // 2, 2 * right_N + parity_N % 2)
    flip_ND = np.where(u_ND < DOT_FLIP, -1, 1)
    if spec.dots == "hidden":
        flip_ND *= np.where(turn_N // spec.grid**2 % 2, -1, 1)[:, None]
    return word_NGG * flip_ND.reshape(word_NGG.shape)


def _shifted(word_Ngg: np.ndarray, down_N: np.ndarray, right_N: np.ndarray) -> np.ndarray:
    axis, grid = np.arange(word_Ngg.shape[-1]), word_Ngg.shape[-1]
    row_Ng, column_Ng = ((axis + by_N[:, None]) % grid for by_N in (down_N, right_N))
    return word_Ngg[np.arange(len(word_Ngg))[:, None, None], row_Ng[:, :, None], column_Ng[:, None]]


def _patches(spec: ShiftedLayouts, sign_Ngg: np.ndarray, u_NKgg: np.ndarray) -> np.ndarray:
    """The patches amid their gaps, amplitude about 1: (N, 3, S, S)."""
    cell = spec.size // spec.grid
    axis = np.arange(spec.size)
    flip, phase, period, *contrast = np.moveaxis(u_NKgg, 1, 0)

    def per_pixel(values_Ngg: np.ndarray) -> np.ndarray:
        return values_Ngg.repeat(cell, axis=1).repeat(cell, axis=2)

    sign = per_pixel(sign_Ngg * np.where(flip < spec.flip, -1, 1))
    match spec.pattern:
        case "grating":  # wavelength 2.8 to 4.2 pixels, grey
            along = axis[:, None] + sign * axis
            waves = np.pi * np.sqrt(2) / per_pixel(2.8 + 1.4 * period)
            wave = np.cos(waves * along + per_pixel(2 * np.pi * phase))
            colours = [contrast[0]] * 3
        case "sawtooth":  # period 5 to 8 pixels, coloured
            wave = sign * (2 * ((axis / per_pixel(5 + 3 * period) + per_pixel(phase)) % 1) - 1)
            colours = contrast
    is_inside = (axis % cell >= spec.gap) & (axis % cell < cell - spec.gap)
    inside = wave * is_inside[:, None] * is_inside
    return np.stack([inside * per_pixel(0.6 + 0.8 * colour) for colour in colours], axis=1)
