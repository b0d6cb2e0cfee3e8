"""Random numbers of procedural images: those of one image depend on (seed, split, index) alone."""

from typing import Literal

import numpy as np

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")


def uniform(seed: int, split: Split, *, start: int, num: int, length: int) -> np.ndarray:
    """Float64 numbers in [0, 1) of the images start .. start + num - 1: (num, length).

    One counter-based stream per split; each image owns a fixed stretch of it.
    """
    stretch = -(-length // 4) * 4  # Philox gives four numbers per count
    stream = np.random.Philox(key=np.array([seed, SPLITS.index(split)], np.uint64))
    stream.advance(start * stretch // 4)
    return np.random.Generator(stream).random((num, stretch))[:, :length]
