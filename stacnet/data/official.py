"""The official pickles of ImageNet 64x64 / 32x32 / 16x16 and CIFAR-10 / 100, as one kind of source.

Rows hold S*S red, then green, then blue bytes. ImageNet's labels are 1..1000 in the order of the
authors' own class list, CIFAR's begin at 0; both leave here from 0.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stacnet.data.pickles import StoredArray, read_pickle
from stacnet.data.source import Part, Source


@dataclass(frozen=True)
class Layout:
    """How one official data set lies in a folder.

    Args:
        name: of the format.
        train, test: file names.
        label_key: of a batch.
        first_label: the smallest label.
        classes: number of classes.
        meta, names_key: file and key of the class names, if there is one.
    """

    name: str
    train: tuple[str, ...]
    test: str
    label_key: str
    first_label: int
    classes: int
    meta: str = ""
    names_key: str = ""


LAYOUTS = (
    Layout(
        name="imagenet",
        train=tuple(f"train_data_batch_{batch}" for batch in range(1, 11)),
        test="val_data",
        label_key="labels",
        first_label=1,
        classes=1000,
    ),
    Layout(
        name="cifar10",
        train=tuple(f"data_batch_{batch}" for batch in range(1, 6)),
        test="test_batch",
        label_key="labels",
        first_label=0,
        classes=10,
        meta="batches.meta",
        names_key="label_names",
    ),
    Layout(
        name="cifar100",
        train=("train",),
        test="test",
        label_key="fine_labels",
        first_label=0,
        classes=100,
        meta="meta",
        names_key="fine_label_names",
    ),
)


def find_layout(folder: Path) -> Layout | None:
    """The layout of which the folder holds a file, or None."""
    for layout in LAYOUTS:
        if any((folder / name).is_file() for name in (*layout.train, layout.test)):
            return layout
    return None


def open_official(folder: Path, layout: Layout) -> Source:
    """All batches of the folder, checked; pixels are read later, part by part.

    Raises:
        ValueError: a batch is missing, truncated, of the wrong shape, or has labels out of range.
    """
    missing = [name for name in (*layout.train, layout.test) if not (folder / name).is_file()]
    if missing:
        raise ValueError(f"{folder}: {layout.name} needs {missing[0]}, which is missing")
    train = [_open_batch(folder / name, layout) for name in layout.train]
    parts = [
        *(("train", batch) for batch in train),
        ("test", _open_batch(folder / layout.test, layout)),
    ]
    size = _side(parts[0][1][0])
    for _, (pixels, _) in parts:
        if _side(pixels) != size:
            raise ValueError(
                f"{pixels.path}: all batches must have {size}x{size} images, got {_side(pixels)}"
            )
    return Source(
        format=layout.name,
        size=size,
        class_names=_class_names(folder, layout),
        parts=[_part(split, *batch) for split, batch in parts],
    )


def _part(split: str, pixels: StoredArray, labels_N: np.ndarray) -> Part:
    side = _side(pixels)

    def read(start: int, stop: int) -> np.ndarray:
        return pixels.rows(start, stop).reshape(-1, 3, side, side)

    status = pixels.path.stat()
    return Part(
        name=pixels.path.name,
        path=pixels.path,
        split=split,
        labels_N=labels_N,
        read=read,
        fingerprint=repr((status.st_size, status.st_mtime_ns)),
    )


def _open_batch(path: Path, layout: Layout) -> tuple[StoredArray, np.ndarray]:
    batch = _read_dict(path)
    for key in ("data", layout.label_key):
        if key not in batch:
            raise ValueError(
                f"{path}: a batch must have {key!r}, got keys {str(sorted(batch))[:200]}"
            )
    pixels = _pixels(path, getattr(batch["data"], "array", None))
    return pixels, _labels(path, batch[layout.label_key], layout=layout, num=pixels.shape[0])


def _whole_numbers(value: Any) -> np.ndarray | None:
    """The flat whole numbers of an array or a list, or None; a nested list could have no end."""
    stored = getattr(value, "array", None)
    if isinstance(stored, StoredArray):
        is_flat = len(stored.shape) == 1 and stored.dtype.kind in "iu"
        return stored.rows(0, stored.shape[0]) if is_flat else None
    is_flat = isinstance(value, list | tuple) and all(
        type(label) is int and abs(label) < 2**31 for label in value
    )
    return np.array(value, np.int64) if is_flat else None


def _read_dict(path: Path) -> dict[str, Any]:
    content = read_pickle(path)
    if not isinstance(content, dict):
        raise ValueError(f"{path}: a batch must be a dict, got {type(content).__name__}")
    return {_name(key): value for key, value in content.items()}


def _pixels(path: Path, pixels: Any) -> StoredArray:
    if not isinstance(pixels, StoredArray) or pixels.dtype != np.uint8:
        got = pixels.dtype if isinstance(pixels, StoredArray) else type(pixels).__name__
        raise ValueError(f"{path}: data must be an array of uint8, got {got}")
    if len(pixels.shape) != 2 or 3 * _side(pixels) ** 2 != pixels.shape[1] or not pixels.shape[0]:
        raise ValueError(f"{path}: data must have shape (images, 3 * side**2), got {pixels.shape}")
    return pixels


def _side(pixels: StoredArray) -> int:
    return math.isqrt(pixels.shape[-1] // 3)


def _labels(path: Path, value: Any, *, layout: Layout, num: int) -> np.ndarray:
    flat = _whole_numbers(value)
    if flat is None or len(flat) != num:
        got = "something else" if flat is None else f"{len(flat)}"
        raise ValueError(
            f"{path}: {layout.label_key} must be one whole number for each of {num} images, got "
            f"{got}"
        )
    first, last = layout.first_label, layout.first_label + layout.classes - 1
    if flat.min() < first or flat.max() > last:
        raise ValueError(
            f"{path}: labels must be in {first}..{last}, got {flat.min()}..{flat.max()}"
        )
    return flat.astype(np.int64) - first


def _class_names(folder: Path, layout: Layout) -> tuple[str, ...]:
    path = folder / layout.meta
    if not layout.meta or not path.is_file():
        return tuple(str(label + layout.first_label) for label in range(layout.classes))
    names = _read_dict(path).get(layout.names_key)
    if not isinstance(names, list) or not all(isinstance(name, str | bytes) for name in names):
        raise ValueError(f"{path}: {layout.names_key} must be a list of names")
    if len(names) != layout.classes:
        raise ValueError(
            f"{path}: {layout.names_key} must have {layout.classes} names, got {len(names)}"
        )
    return tuple(_name(name) for name in names)


def _name(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
