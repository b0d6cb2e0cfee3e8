"""A folder of images, one subfolder per class; a test split is drawn where there is none."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stacnet.data.decode import decode
from stacnet.data.meta import DrawnSplit
from stacnet.data.source import Part, Source
from stacnet.data.walk import Found, walk

TEST_NAMES = ("test", "val")
EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
DRAWN = DrawnSplit(share=0.2, seed=0)


@dataclass(frozen=True, slots=True)
class _File(Found):
    """An image file and its class."""

    label: int


def is_image_folder(folder: Path) -> bool:
    """Whether there are training images by class, or class folders alone."""
    return (folder / "train").is_dir() or any(
        _is_image(name) for label in _subfolders(folder) for name in os.listdir(folder / label)
    )


def open_folder(folder: Path, *, size: int) -> Source:
    """`train/<class>/*` and `test/<class>/*` (or `val/`), or `<class>/*` alone.

    Without `train/`, a seeded fifth of each class becomes the test split. Hidden files are left
    out; a file that links lead to several times counts once.

    Args:
        size: side of the square that each image becomes, pixels.

    Raises:
        ValueError: a split or a class is missing or empty, the splits have different classes, or
            one file is in two classes or splits.
    """
    if (folder / "train").is_dir():
        split, (classes, train, test) = None, _official_split(folder)
    else:
        split, (classes, train, test) = DRAWN, _drawn_split(folder)
    _refuse_shared(train, test)
    return Source(
        format="folder",
        size=size,
        class_names=tuple(classes),
        parts=[
            _part(folder, found, split=name, size=size)
            for name, found in (("train", train), ("test", test))
        ],
        test_split=split,
    )


def _official_split(folder: Path) -> tuple[list[str], list[_File], list[_File]]:
    test_name = next((name for name in TEST_NAMES if (folder / name).is_dir()), None)
    if test_name is None:
        raise ValueError(
            f"{folder}: a folder of images needs test/ or val/ beside train/, or the class folders "
            f"alone, of which a test split is drawn"
        )
    classes, other = _subfolders(folder / "train"), _subfolders(folder / test_name)
    if classes != other:
        different = sorted(set(classes) ^ set(other))
        raise ValueError(f"{folder}: both splits must have the same classes, got {different[0]!r}")
    train, test = (_files(folder / name, classes) for name in ("train", test_name))
    return classes, train, test


def _drawn_split(folder: Path) -> tuple[list[str], list[_File], list[_File]]:
    classes = _subfolders(folder)
    files = _files(folder, classes)
    rng = np.random.default_rng(DRAWN.seed)
    labels_N = np.array([file.label for file in files])
    is_test_N = np.zeros(len(files), bool)
    for label in range(len(classes)):
        at = rng.permutation(np.flatnonzero(labels_N == label))
        is_test_N[at[: min(max(1, round(DRAWN.share * len(at))), len(at) - 1)]] = True
    if not is_test_N.any():
        raise ValueError(f"{folder}: a class must have at least 2 images to draw a test split")
    train = [file for file, is_test in zip(files, is_test_N, strict=True) if not is_test]
    return classes, train, [file for file, is_test in zip(files, is_test_N, strict=True) if is_test]


def _subfolders(folder: Path) -> list[str]:
    """Names of the classes: all visible folders, or links to folders."""
    with os.scandir(folder) as entries:
        return sorted(e.name for e in entries if not e.name.startswith(".") and e.is_dir())


def _files(folder: Path, classes: Sequence[str]) -> list[_File]:
    """All images of the classes, each real file of a class once, in the order of their paths."""
    if not classes:
        raise ValueError(f"{folder}: must hold a folder for each class, got none")
    found: list[_File] = []
    for label, name in enumerate(classes):
        of_class: dict[str, _File] = {}
        for file in walk(folder / name, EXTENSIONS, kind="an image"):
            of_class.setdefault(file.real, _File(file.path, file.real, file.stamp, label))
        if not of_class:
            raise ValueError(
                f"{folder / name}: a class must have images ({' '.join(EXTENSIONS)}), got none"
            )
        found += sorted(of_class.values(), key=lambda file: os.path.split(file.path))
    return found


def _is_image(name: str) -> bool:
    return name.lower().endswith(EXTENSIONS)


def _refuse_shared(train: list[_File], test: list[_File]) -> None:
    """A file in two classes has no label, and one in two splits is known before it is asked."""
    places: dict[str, _File] = {}
    for file in (*train, *test):
        other = places.setdefault(file.real, file)
        if other is not file:
            raise ValueError(
                f"{file.path}: an image must be in one class of one split, got it at {other.path} "
                f"too"
            )


def _part(folder: Path, files: list[_File], *, split: str, size: int) -> Part:
    digest = hashlib.sha256()
    for file in files:
        digest.update(repr((file.path, file.stamp)).encode(errors="surrogateescape"))

    def read(start: int, stop: int) -> np.ndarray:
        return np.stack([decode(file.path, size=size) for file in files[start:stop]])

    return Part(
        name=split,
        path=folder,
        split=split,
        labels_N=np.array([file.label for file in files], np.int64),
        read=read,
        fingerprint=digest.hexdigest(),
    )
