"""ScaleSignal: procedural images whose class lives at one known spatial scale.

An image is a g x g grid of cells, each with a grating of +45 or -45 degrees. Two anchor classes
show one orientation everywhere; every layout class is a codeword in {+1, -1}^{g x g} whose aligned
2x2 blocks sum to zero. Averaged over less than g x g regions all layout classes are the same in
distribution; at g x g the class is complete. An image depends on (seed, split, index) alone.

Shapes: N images, C classes, g cells per side, S pixels per side.
"""

import numpy as np

from stacnet.data.draws import Split, uniform
from stacnet.data_spec import ScaleSignal

NUM_ANCHORS = 2
LEVELS_PER_UNIT = 48.0  # grey levels of amplitude 1 around mid-grey: 2.6 units until saturation
BALANCED_BLOCKS = np.array(
    [
        [1, 1, -1, -1],
        [-1, -1, 1, 1],
        [1, -1, 1, -1],
        [-1, 1, -1, 1],
        [1, -1, -1, 1],
        [-1, 1, 1, -1],
    ],
    dtype=np.int8,
).reshape(6, 2, 2)


def num_classes(spec: ScaleSignal) -> int:
    """Anchors and layouts."""
    return NUM_ANCHORS + spec.layouts


def scale_blind_ceiling(spec: ScaleSignal, *, scale: int = 1) -> float:
    """Best accuracy of a model that sees orientations averaged over scale x scale regions.

    It knows the anchors and the layouts of grids up to `scale`, and guesses one of the others.
    Exact without flips; 2 anchors and 6 layouts give 0.375.
    """
    unseen = sum(grid > scale for grid in layout_grids(spec))
    return (num_classes(spec) - unseen + min(unseen, 1)) / num_classes(spec)


def layout_grids(spec: ScaleSignal) -> list[int]:
    """The grid each layout class lives on; a two-scale mixture alternates between its two."""
    grids = (spec.grid, spec.second_grid or spec.grid)
    return [grids[layout % 2] for layout in range(spec.layouts)]


def codewords(spec: ScaleSignal) -> np.ndarray:
    """Orientation of every cell of every class: int8 (C, f, f) in {+1, -1}, anchors first.

    f is the finer grid: coarser codewords are enlarged to it, so that cells look alike in both.
    """
    fine = max(spec.grid, spec.second_grid)
    rng = np.random.default_rng([spec.seed, fine])
    anchors = [np.ones((fine, fine), np.int8), -np.ones((fine, fine), np.int8)]
    words = {word.tobytes(): word for word in anchors}
    for grid in layout_grids(spec):
        word = _codeword(rng, grid=grid, fine=fine)
        while word.tobytes() in words:
            word = _codeword(rng, grid=grid, fine=fine)
        words[word.tobytes()] = word
    return np.stack(list(words.values()))


def _codeword(rng: np.random.Generator, *, grid: int, fine: int) -> np.ndarray:
    blocks = BALANCED_BLOCKS[rng.integers(len(BALANCED_BLOCKS), size=(grid // 2, grid // 2))]
    word = blocks.transpose(0, 2, 1, 3).reshape(grid, grid)
    return np.kron(word, np.ones((fine // grid, fine // grid), np.int8))


def generate(
    spec: ScaleSignal, *, split: Split, start: int = 0, stop: int
) -> tuple[np.ndarray, np.ndarray]:
    """Images start..stop-1 of a split, uint8 (N, 3, S, S), channels equal, and labels int64 (N,).

    The label of image i is i modulo the number of classes, so splits are balanced.
    """
    labels_N = np.arange(start, stop) % num_classes(spec)
    parts = [
        _render(
            spec, split=split, start=first, labels_N=labels_N[first - start : first - start + 512]
        )
        for first in range(start, stop, 512)  # bounded memory
    ]
    grey_NSS = np.concatenate(parts) if parts else np.empty((0, spec.size, spec.size), np.uint8)
    return np.repeat(grey_NSS[:, None], 3, axis=1), labels_N


def _render(spec: ScaleSignal, *, split: Split, start: int, labels_N: np.ndarray) -> np.ndarray:
    fine, size, num = max(spec.grid, spec.second_grid), spec.size, len(labels_N)
    pixels_ND, cells_N4gg, shift_N2 = _draws(spec, split=split, start=start, num=num)
    flip, wave, phase, contrast = np.moveaxis(cells_N4gg, 1, 0)
    sign_Ngg = codewords(spec)[labels_N] * np.where(flip < spec.flip, -1, 1)
    radians_per_pixel = np.pi * np.sqrt(2) / (2.8 + 1.4 * wave)  # wavelength 2.8 to 4.2 pixels
    contrast = 0.6 + 0.8 * contrast  # mean 1
    cell = size // fine
    moved_N2S = np.arange(size) - np.rint((2 * shift_N2 - 1) * spec.jitter)[:, :, None].astype(int)
    row_NS, column_NS = np.moveaxis(np.clip(moved_N2S // cell, 0, fine - 1), 1, 0)

    def per_pixel(values_Ngg: np.ndarray) -> np.ndarray:
        at = (np.arange(num)[:, None, None], row_NS[:, :, None], column_NS[:, None, :])
        return values_Ngg.astype(np.float32)[at]

    axis = np.arange(size, dtype=np.float32)
    along = axis[:, None] + per_pixel(sign_Ngg) * axis[None, :]
    grating = np.cos(per_pixel(radians_per_pixel) * along + per_pixel(2 * np.pi * phase))
    inside_N2S = (moved_N2S % cell >= spec.gap) & (moved_N2S % cell < cell - spec.gap)
    inside = inside_N2S[:, 0, :, None] & inside_N2S[:, 1, None, :]
    noise = (pixels_ND.reshape(num, size, size) - 0.5) * np.float32(np.sqrt(12) * spec.noise)
    grey = 127.5 + LEVELS_PER_UNIT * (per_pixel(contrast) * grating * inside + noise)
    return np.clip(np.rint(grey), 0, 255).astype(np.uint8)


def _draws(
    spec: ScaleSignal, *, split: Split, start: int, num: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Uniform numbers of each image: per pixel (N, S*S), per cell (N, 4, f, f), shift (N, 2)."""
    fine = max(spec.grid, spec.second_grid)
    num_pixels, num_cells = spec.size**2, 4 * fine**2
    length = num_pixels + num_cells + 2
    u_ND = uniform(spec.seed, split, start=start, num=num, length=length)
    cells = u_ND[:, num_pixels : num_pixels + num_cells].reshape(num, 4, fine, fine)
    shift = u_ND[:, num_pixels + num_cells : num_pixels + num_cells + 2]
    return u_ND[:, :num_pixels].astype(np.float32), cells, shift
