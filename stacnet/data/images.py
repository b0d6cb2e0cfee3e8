"""Labelled images in memory or on disk, their splits, and `load` for every kind of data.

Shapes: P images in the pool, N images of a split, C channels, H and W pixels.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, assert_never

import numpy as np

from stacnet.data import digits, scalesignal, shifted
from stacnet.data.cache import cache_folder, open_cache
from stacnet.data.draws import SPLITS
from stacnet.data.statistics import add_histogram, histogram_statistics
from stacnet.data_spec import DataSpec, Digits, Prepared, ScaleSignal, ShiftedLayouts

CHUNK = 4096  # images read at a time


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images of one split: rows of a pool that splits may share, never copied before use.

    Args:
        pool_PCHW: uint8 images, an array or a read-only memory map.
        rows_N: int64 rows of the pool that belong to this split, in order.
        labels_N: int64 class of each row, 0 .. classes-1.
        groups_N: int64 group of each row: images of one group are alike (one typeface, one scene)
            and never in two splits; None where the data has no groups.
    """

    pool_PCHW: np.ndarray
    rows_N: np.ndarray
    labels_N: np.ndarray
    groups_N: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.rows_N)

    @property
    def images_NCHW(self) -> np.ndarray:
        """All images of the split, uint8; copied if the split is not the whole pool."""
        return self.pool_PCHW if self._is_whole else self.take(slice(None))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        return self.pool_PCHW.shape[1:]

    def take(self, index: np.ndarray | slice) -> np.ndarray:
        """A copy of some images of the split, uint8 (n, C, H, W)."""
        return self.pool_PCHW[self.rows_N[index]]

    def subset(self, index: np.ndarray) -> "ImageSet":
        """The split reduced to some of its images, sharing the pool."""
        groups_N = None if self.groups_N is None else self.groups_N[index]
        return ImageSet(self.pool_PCHW, self.rows_N[index], self.labels_N[index], groups_N)

    @cached_property
    def _is_whole(self) -> bool:
        return np.array_equal(self.rows_N, np.arange(len(self.pool_PCHW)))


@dataclass(frozen=True, eq=False)
class Splits:
    """What a run sees: training images, validation to select on, test for reporting only.

    Args:
        classes: number of classes.
        mean_C, std_C: of the training pixels per channel, on the 0..255 scale, for normalisation.
    """

    train: ImageSet
    val: ImageSet
    test: ImageSet
    classes: int
    mean_C: tuple[float, ...]
    std_C: tuple[float, ...]


def load(data: DataSpec, *, folder: Path | None = None) -> Splits:
    """The splits a data spec describes; the last few are kept, so that trainings share them.

    Args:
        folder: where prepared data lies; by default `$STACNET_DATA`, else `~/.cache/stacnet`.

    Raises:
        ValueError: prepared data is missing, damaged, or not the data of the given checksum.
    """
    return _load(data, data_folder() if folder is None else folder)


def data_folder() -> Path:
    """Where prepared data lies on this machine."""
    return Path(os.environ.get("STACNET_DATA") or Path.home() / ".cache" / "stacnet")


@lru_cache(maxsize=4)
def _load(data: DataSpec, folder: Path) -> Splits:
    match data:
        case ScaleSignal():
            return _procedural(data, scalesignal.generate, scalesignal.num_classes(data))
        case ShiftedLayouts():
            return _procedural(data, shifted.generate, shifted.num_classes(data))
        case Digits():
            return _load_digits(data)
        case Prepared():
            return _load_prepared(data, folder)
        case _:
            assert_never(data)


def _procedural(
    data: ScaleSignal | ShiftedLayouts, generate: Callable[..., tuple[Any, Any]], classes: int
) -> Splits:
    sizes = {"train": data.train, "val": data.val, "test": data.test}
    train, val, test = (whole(*generate(data, split=name, stop=sizes[name])) for name in SPLITS)
    mean_C, std_C = pixel_statistics(train)
    return Splits(train, val, test, classes, mean_C, std_C)


def _load_digits(data: Digits) -> Splits:
    everything = whole(*digits.load_digits())
    rest, test = split_off(everything, fraction=data.test_fraction, seed=data.seed)
    train, val = split_off(rest, fraction=data.val_fraction, seed=data.seed + 1)
    mean_C, std_C = pixel_statistics(train)
    return Splits(train, val, test, 10, mean_C, std_C)


def _load_prepared(data: Prepared, folder: Path) -> Splits:
    cache = open_cache(cache_folder(data.name, below=folder), checksum=data.checksum)
    everything = whole(*cache.train, groups_N=cache.groups.get("train"))
    test = whole(*cache.test, groups_N=cache.groups.get("test"))
    train, val = split_off(everything, fraction=data.val_fraction, seed=data.seed)
    return Splits(train, val, test, cache.classes, cache.mean_C, cache.std_C)


def whole(
    images_NCHW: np.ndarray, labels_N: np.ndarray, *, groups_N: np.ndarray | None = None
) -> ImageSet:
    """A set that is its whole pool."""
    return ImageSet(images_NCHW, np.arange(len(labels_N)), labels_N, groups_N)


def split_off(images: ImageSet, *, fraction: float, seed: int) -> tuple[ImageSet, ImageSet]:
    """The rest and a random share of the images, the same share (rounded) of every class.

    Where there are groups, it is that share of the groups, each whole, and at least one.

    Raises:
        ValueError: the share leaves one of the two without images, or groups a class.
    """
    if images.groups_N is not None:
        return _split_off_groups(images, images.groups_N, fraction=fraction, seed=seed)
    order_N = np.random.default_rng(seed).permutation(len(images))
    order_N = order_N[np.argsort(images.labels_N[order_N], kind="stable")]
    _, start_K, counts_K = np.unique(
        images.labels_N[order_N], return_index=True, return_counts=True
    )
    rank_N = np.arange(len(images)) - np.repeat(start_K, counts_K)
    chosen_N = rank_N < np.repeat(np.rint(fraction * counts_K), counts_K)
    if chosen_N.all() or not chosen_N.any():
        raise ValueError(
            f"a split must leave images on both sides, got {fraction=} of {len(images)} images "
            f"in {len(counts_K)} classes"
        )
    return images.subset(np.sort(order_N[~chosen_N])), images.subset(np.sort(order_N[chosen_N]))


def _split_off_groups(
    images: ImageSet, groups_N: np.ndarray, *, fraction: float, seed: int
) -> tuple[ImageSet, ImageSet]:
    chosen_G = drawn_groups(np.unique(groups_N), share=fraction, seed=seed)
    is_chosen_N = np.isin(groups_N, chosen_G)
    rest, chosen = (images.subset(np.flatnonzero(mask)) for mask in (~is_chosen_N, is_chosen_N))
    classes = np.unique(images.labels_N)
    for part in (rest, chosen):
        if not np.array_equal(np.unique(part.labels_N), classes):
            raise ValueError(
                f"a split by groups must leave images of every class on both sides, got "
                f"{fraction=} of {len(np.unique(groups_N))} groups"
            )
    return rest, chosen


def drawn_groups(groups_G: np.ndarray, *, share: float, seed: int) -> np.ndarray:
    """A random share (rounded, at least one) of the distinct groups, sorted."""
    num = max(1, round(share * len(groups_G)))
    return np.sort(np.random.default_rng(seed).permutation(groups_G)[:num])


def pixel_statistics(images: ImageSet) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel on the 0..255 scale, exact, in bounded memory."""
    histogram_CV = np.zeros((images.shape[0], 256), np.int64)
    for start in range(0, len(images), CHUNK):
        add_histogram(histogram_CV, images.take(slice(start, start + CHUNK)))
    return histogram_statistics(histogram_CV)
