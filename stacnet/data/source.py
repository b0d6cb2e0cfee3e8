"""What `prepare` reads: parts of images with known labels, whose pixels are read on demand."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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
        groups_N: int64 group of each image from 0; None where the source has no groups.
    """

    name: str
    path: Path
    split: str
    labels_N: np.ndarray
    read: Callable[[int, int], np.ndarray]
    fingerprint: str
    groups_N: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Source:
    """A data set that can be prepared.

    Args:
        format: imagenet, cifar10, cifar100, folder or glyphs.
        size: S, pixels.
        class_names: one per class.
        parts: in order.
        test_split: how the test images were drawn, if the data brings no test split.
        group_names: one per group of images that are alike and stay in one split; () without.
        remark: what `prepare` says of it: what was left out, and why.
        records: files to lay beside the images: name -> JSON object.
    """

    format: str
    size: int
    class_names: tuple[str, ...]
    parts: list[Part]
    test_split: DrawnSplit | None = None
    group_names: tuple[str, ...] = ()
    remark: str = ""
    records: dict[str, dict[str, Any]] = field(default_factory=dict)

    def labels(self, split: str) -> np.ndarray:
        """Classes of all images of a split, int64 (N,)."""
        return _joined(part.labels_N for part in self.parts if part.split == split)

    def groups(self, split: str) -> np.ndarray:
        """Groups of all images of a split, int64 (N,); empty where there are none."""
        parts = [part for part in self.parts if part.split == split]
        return _joined(part.groups_N for part in parts if part.groups_N is not None)


def _joined(arrays: Iterable[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.empty(0, np.int64), *arrays])
