"""The cache of prepared images: four .npy files and meta.json, opened as shared memory maps."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

FORMAT = 1
SPLITS = ("train", "test")


@dataclass(frozen=True)
class Block:
    """A run of images of one split that was written in one go, and the hash of its pixels."""

    split: str
    part: str
    num: int
    sha256: str


@dataclass(frozen=True, eq=False)
class Cache:
    """Prepared images and labels.

    Args:
        train, test: uint8 images (N, 3, S, S) as a memory map, and labels int64 (N,).
        classes: number of classes.
        class_names: one per class.
        mean_C, std_C: of the training pixels per channel, 0..255 scale.
        checksum: of images and labels, sha256 in hex.
        source: the format it was read from.
    """

    train: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]
    classes: int
    class_names: tuple[str, ...]
    mean_C: tuple[float, ...]
    std_C: tuple[float, ...]
    checksum: str
    source: str


def open_cache(folder: Path, *, checksum: str = "") -> Cache:
    """Open a cache; the images stay on disk and are shared by all processes that read them.

    Raises:
        ValueError: there is none, it is damaged, or its checksum is another one.
    """
    meta = _read_meta(folder)
    if checksum and checksum != meta["checksum"]:
        raise ValueError(
            f"{folder}: the study was made on other data: checksum must be {checksum}, "
            f"got {meta['checksum']}"
        )
    train, test = (_open_split(folder, split, meta) for split in SPLITS)
    return Cache(
        train=train,
        test=test,
        classes=meta["classes"],
        class_names=tuple(meta["class_names"]),
        mean_C=tuple(meta["mean"]),
        std_C=tuple(meta["std"]),
        checksum=meta["checksum"],
        source=meta["source"],
    )


def _read_meta(folder: Path) -> dict[str, Any]:
    path = folder / "meta.json"
    try:
        meta = json.loads(path.read_text())
    except FileNotFoundError:
        raise ValueError(
            f"{folder}: no prepared data here; make it with `stac data prepare`"
        ) from None
    except ValueError as error:
        raise ValueError(f"{path}: not JSON: {error}") from None
    if meta.get("format") != FORMAT:
        raise ValueError(f"{path}: format must be {FORMAT}, got {meta.get('format')}")
    return meta


def _open_split(folder: Path, split: str, meta: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    path = folder / f"{split}_images.npy"
    try:
        # Copy on write: a page that is only read is shared, and torch wants writable arrays.
        images_NCHW = np.load(path, mmap_mode="c", allow_pickle=False)
        labels_N = np.load(folder / f"{split}_labels.npy", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: damaged, prepare the data again: {error}") from None
    if list(images_NCHW.shape) != meta["shapes"][split] or len(labels_N) != len(images_NCHW):
        raise ValueError(
            f"{path}: shape must be {meta['shapes'][split]}, got {list(images_NCHW.shape)} "
            f"and {len(labels_N)} labels"
        )
    return images_NCHW, labels_N


def verify(folder: Path) -> None:
    """Read everything and compare with the checksum.

    Raises:
        ValueError: the content is not what was prepared.
    """
    cache, meta = open_cache(folder), _read_meta(folder)
    images = {"train": cache.train[0], "test": cache.test[0]}
    position: dict[str, int] = dict.fromkeys(SPLITS, 0)
    blocks = [Block(**block) for block in meta["blocks"]]
    for block in blocks:
        start = position[block.split]
        position[block.split] += block.num
        chosen = np.ascontiguousarray(images[block.split][start : start + block.num])
        if hashlib.sha256(chosen.data).hexdigest() != block.sha256:
            raise ValueError(f"{folder}: damaged: {block.part} from image {start} has changed")
    if checksum_of(blocks, [cache.train[1], cache.test[1]]) != cache.checksum:
        raise ValueError(f"{folder}: damaged: labels or meta.json have changed")


def checksum_of(blocks: list[Block], labels: list[np.ndarray]) -> str:
    """sha256 over the blocks' own and the labels: changes with any pixel or label."""
    digest = hashlib.sha256()
    for block in blocks:
        digest.update(f"{block.split} {block.num} {block.sha256}\n".encode())
    for labels_N in labels:
        digest.update(labels_N.astype("<i8").tobytes())
    return digest.hexdigest()
