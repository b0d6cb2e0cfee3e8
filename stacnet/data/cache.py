"""The cache of prepared images: .npy files and meta.json, opened as shared memory maps."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from stacnet.data.meta import SPLITS, Block, DrawnSplit, Meta, read_meta, read_sealed
from stacnet.data.statistics import add_histogram, histogram_statistics
from stacnet.names import check_name

# Names of the groups, and the group of each image of each split, int64 (N,).
Grouping = tuple[tuple[str, ...], dict[str, np.ndarray]]


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
        test_split: how the test images were chosen, if the source had no split of its own.
        group_names: one per group of images that stay in one split; () without groups.
        groups: of the images of each split, int64 (N,); empty without groups.
    """

    train: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]
    classes: int
    class_names: tuple[str, ...]
    mean_C: tuple[float, ...]
    std_C: tuple[float, ...]
    checksum: str
    source: str
    test_split: DrawnSplit | None
    group_names: tuple[str, ...]
    groups: dict[str, np.ndarray]


def cache_folder(name: str, *, below: Path) -> Path:
    """Where the cache of that name lies.

    Raises:
        ValueError: the name would lead elsewhere.
    """
    return below / check_name(name)


def open_cache(folder: Path, *, checksum: str = "") -> Cache:
    """Open a cache; the images stay on disk and are shared by all processes that read them.

    Raises:
        ValueError: there is none, it is damaged, or its checksum is another one.
    """
    meta = _meta(folder)
    if checksum and checksum != meta.checksum:
        raise ValueError(
            f"{folder}: the study was made on other data: checksum must be {checksum}, "
            f"got {meta.checksum}"
        )
    train, test = (_open_split(folder, split, meta) for split in SPLITS)
    return Cache(
        train=train,
        test=test,
        classes=meta.classes,
        class_names=meta.class_names,
        mean_C=meta.mean,
        std_C=meta.std,
        checksum=meta.checksum,
        source=meta.source,
        test_split=meta.test_split,
        group_names=meta.group_names,
        groups=_open_groups(folder, meta),
    )


def _meta(folder: Path) -> Meta:
    try:
        return read_meta(folder / "meta.json")
    except (FileNotFoundError, NotADirectoryError):
        raise ValueError(
            f"{folder}: no prepared data here; make it with `stac data prepare`"
        ) from None


def _open_split(folder: Path, split: str, meta: Meta) -> tuple[np.ndarray, np.ndarray]:
    shape = meta.shapes[split]
    images_NCHW = _mapped(folder / f"{split}_images.npy", shape=shape, dtype=np.uint8)
    path = folder / f"{split}_labels.npy"
    return images_NCHW, _numbers(path, num=shape[0], most=meta.classes - 1, of="labels")


def _open_groups(folder: Path, meta: Meta) -> dict[str, np.ndarray]:
    if not meta.group_names:
        return {}
    groups = {
        split: _numbers(
            folder / f"{split}_groups.npy",
            num=meta.shapes[split][0],
            most=len(meta.group_names) - 1,
            of="groups",
        )
        for split in SPLITS
    }
    if len(shared_G := np.intersect1d(groups["train"], groups["test"])):
        raise ValueError(
            f"{folder}: damaged, prepare the data again: no group may be in two splits, got "
            f"{meta.group_names[shared_G[0]]!r}"
        )
    return groups


def _numbers(path: Path, *, num: int, most: int, of: str) -> np.ndarray:
    """One number in 0..most for each image, int64 (N,)."""
    values_N = np.array(_mapped(path, shape=(num,), dtype=np.int64))
    if values_N.min() < 0 or values_N.max() > most:
        raise ValueError(
            f"{path}: damaged, prepare the data again: {of} must be in 0..{most}, "
            f"got {values_N.min()}..{values_N.max()}"
        )
    return values_N


def _mapped(path: Path, *, shape: tuple[int, ...], dtype: type) -> np.ndarray:
    """An array on disk. Copy on write: a page only read is shared, and torch wants writable ones.

    Raises:
        ValueError: it is not that array.
    """
    try:
        if not path.is_file():
            raise ValueError("must be a file")
        array = np.lib.format.open_memmap(path, mode="c")
    except Exception as error:  # whatever a damaged header does to the one who reads it
        raise ValueError(f"{path}: damaged, prepare the data again: {error}") from None
    if array.shape != shape or array.dtype != dtype:
        raise ValueError(
            f"{path}: damaged, prepare the data again: must be {np.dtype(dtype)} of shape {shape}, "
            f"got {array.dtype} of {array.shape}"
        )
    return array


def verify(folder: Path, *, progress: Callable[[int, int], None] | None = None) -> None:
    """Read everything and compare with the checksum and the statistics.

    Args:
        progress: called with images read and images in all.

    Raises:
        ValueError: the content is not what was prepared.
    """
    cache, meta = open_cache(folder), _meta(folder)
    images = {"train": cache.train[0], "test": cache.test[0]}
    position: dict[str, int] = dict.fromkeys(SPLITS, 0)
    histogram_CV = np.zeros((3, 256), np.int64)
    for block in meta.blocks:
        start = position[block.split]
        position[block.split] += block.num
        chosen = np.ascontiguousarray(images[block.split][start : start + block.num])
        if hashlib.sha256(chosen.data).hexdigest() != block.sha256:
            raise ValueError(f"{folder}: damaged: {block.part} from image {start} has changed")
        if block.split == "train":
            add_histogram(histogram_CV, chosen)
        if progress is not None:
            progress(sum(position.values()), sum(shape[0] for shape in meta.shapes.values()))
    labels = [cache.train[1], cache.test[1]]
    grouping = (cache.group_names, cache.groups)
    found = checksum_of(meta.blocks, labels, test_split=meta.test_split, grouping=grouping)
    if found != cache.checksum:
        raise ValueError(f"{folder}: damaged: labels, groups or meta.json have changed")
    for path in folder.glob("*.json"):
        read_sealed(path)
    if not np.allclose(histogram_statistics(histogram_CV), (meta.mean, meta.std)):
        raise ValueError(f"{folder}: damaged: mean or std in meta.json have changed")


def checksum_of(
    blocks: Sequence[Block],
    labels: list[np.ndarray],
    *,
    test_split: DrawnSplit | None = None,
    grouping: Grouping = ((), {}),
) -> str:
    """sha256 over the blocks' own, the labels and the groups: changes with any of them."""
    digest = hashlib.sha256()
    for block in blocks:
        digest.update(f"{block.split} {block.num} {block.sha256}\n".encode())
    for labels_N in labels:
        digest.update(labels_N.astype("<i8").tobytes())
    if test_split is not None:
        digest.update(json.dumps(asdict(test_split), sort_keys=True).encode())
    names, groups = grouping
    if names:  # without groups it is the checksum that it was before there were any
        digest.update(json.dumps(names).encode())
        for split in SPLITS:
            digest.update(groups[split].astype("<i8").tobytes())
    return digest.hexdigest()
