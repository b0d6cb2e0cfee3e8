"""What `prepare` reads: parts of images with known labels, whose pixels are read on demand."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stacnet.data.meta import DrawnSplit


@dataclass(frozen=True, eq=False)
class Part:
    """A run of images, all of one split.

    Args:
        name: for messages.
        path: the file or folder it comes from.
        split: train or test.
        labels_N: int64 classes from 0.
        read: (start, stop) -> uint8 images (stop - start, 3, S, S).
        fingerprint: changes when one of its files does.
    """

    name: str
    path: Path
    split: str
    labels_N: np.ndarray
    read: Callable[[int, int], np.ndarray]
    fingerprint: str


@dataclass(frozen=True, eq=False)
class Source:
    """A data set that can be prepared.

    Args:
        format: imagenet, cifar10, cifar100 or folder.
        size: S, pixels.
        class_names: one per class.
        parts: in order.
        test_split: how the test images were drawn, if the data brings no test split.
    """

    format: str
    size: int
    class_names: tuple[str, ...]
    parts: list[Part]
    test_split: DrawnSplit | None = None

    def labels(self, split: str) -> np.ndarray:
        """Classes of all images of a split, int64 (N,)."""
        chosen = [part.labels_N for part in self.parts if part.split == split]
        return np.concatenate(chosen) if chosen else np.empty(0, np.int64)
