"""`stac data prepare`: official files -> one memory-mapped cache; atomic, checksummed, resumable.

Blocks of images are appended to a hidden folder beside the target; after each block a small file
says how far it got. At the end the folder is renamed. Memory is bounded by one block.
"""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from stacnet.data.cache import Cache, checksum_of, open_cache
from stacnet.data.folder import is_image_folder, open_folder
from stacnet.data.glyphs import Task, open_glyphs
from stacnet.data.meta import FORMAT, SPLITS, Block, Meta, read_sealed, write_meta, write_sealed
from stacnet.data.official import find_layout, open_official
from stacnet.data.source import Part, Source
from stacnet.data.statistics import add_histogram, histogram_statistics

BLOCK_BYTES = 32 << 20
LARGEST_SIDE = 2048  # pixels; a network's memory ends long before


@dataclass
class _Progress:
    """What is safely on disk."""

    source: str
    blocks: list[Block] = field(default_factory=list)
    histogram: list[list[int]] = field(default_factory=lambda: [[0] * 256 for _ in range(3)])


def open_source(folder: Path, *, size: int | None = None, task: Task | None = None) -> Source:
    """Recognise and check the data in a folder.

    Args:
        size: side that images of a folder are resized to, 1..2048 pixels; official data has its
            own.
        task: for a folder of fonts: what is to be recognised in their letters.

    Raises:
        ValueError: nothing is recognised, or what is there is not whole.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder")
    if size is not None and not 1 <= size <= LARGEST_SIDE:
        raise ValueError(f"size must be in 1..{LARGEST_SIDE} pixels, got {size=}")
    if task is not None:
        return open_glyphs(folder, size=_needed(size, folder, "fonts"), task=task)
    layout = find_layout(folder)
    if layout is not None:
        source = open_official(folder, layout)
        if size not in (None, source.size):
            raise ValueError(f"{folder}: {layout.name} here has size {source.size}, got {size=}")
        return source
    if not is_image_folder(folder):
        raise ValueError(
            f"{folder}: must hold ImageNet (train_data_batch_1), CIFAR (data_batch_1, train) or "
            f"images (train/<class>/ or <class>/), or fonts and a task be named, got neither"
        )
    return open_folder(folder, size=_needed(size, folder, "images"))


def _needed(size: int | None, folder: Path, of: str) -> int:
    if size is None:
        raise ValueError(f"{folder}: a folder of {of} needs a size, got {size=}")
    return size


def prepare(
    source: Source, target: Path, *, progress: Callable[[int, int], None] | None = None
) -> Cache:
    """Write the cache; a cache that was begun is continued.

    Args:
        source: what `open_source` found.
        target: folder of the new cache.
        progress: called with images done and images in all.

    Raises:
        ValueError: the target exists, is being written by another process, does not fit on the
            disk, or the source holds a batch twice.
    """
    if os.path.lexists(target):
        raise ValueError(f"{target}: already there; remove it to prepare again")
    partial = target.parent / f".{target.name}.partial"
    partial.mkdir(parents=True, exist_ok=True)
    with (partial / "lock").open("w") as lock:
        _lock(lock.fileno(), target)
        state = _resume(partial, source)
        _check_space(partial, source, state)
        for done in _write_blocks(partial, source, state):
            if progress is not None:
                progress(done, sum(len(part.labels_N) for part in source.parts))
        _finish(partial, source, state)
        os.replace(partial, target)
        _sync(target.parent)
    return open_cache(target)


def _lock(descriptor: int, target: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ValueError(f"{target}: another process is preparing it") from None


def _resume(partial: Path, source: Source) -> _Progress:
    """What is there already; nothing if the files or the note on them are not as they were left."""
    fresh = _Progress(source=_fingerprint(source))
    try:
        note = _Progress(**read_sealed(partial / "progress.json"))
        blocks = [Block(**block) for block in note.blocks]  # type: ignore[arg-type]
        sizes = {s: (partial / f"{s}_images.npy").stat().st_size for s in {b.split for b in blocks}}
    except (FileNotFoundError, ValueError, TypeError):
        return fresh
    is_whole = all(size > _num_bytes(source, split) for split, size in sizes.items())
    if note.source != fresh.source or not is_whole:
        return fresh
    return _Progress(source=fresh.source, blocks=blocks, histogram=note.histogram)


def _num_bytes(source: Source, split: str) -> int:
    return len(source.labels(split)) * 3 * source.size**2


def _check_space(partial: Path, source: Source, state: _Progress) -> None:
    done = sum(block.num for block in state.blocks) * 3 * source.size**2
    needed, free = (
        sum(_num_bytes(source, s) for s in SPLITS) - done,
        shutil.disk_usage(partial).free,
    )
    if needed > free:
        raise ValueError(
            f"{partial.parent}: the images need {needed / 1e9:,.1f} GB, got {free / 1e9:,.1f} GB "
            f"free"
        )


def _fingerprint(source: Source) -> str:
    """Changes when a file of the source does."""
    digest = hashlib.sha256(repr((FORMAT, source.format, source.size, source.test_split)).encode())
    for part in source.parts:
        digest.update(repr((part.name, part.fingerprint)).encode())
        digest.update(part.labels_N.tobytes())
        if part.groups_N is not None:
            digest.update(part.groups_N.tobytes())
    return digest.hexdigest()


def _pieces(source: Source) -> Iterator[tuple[Part, int, int]]:
    step = max(1, BLOCK_BYTES // (3 * source.size**2))
    for part in source.parts:
        for start in range(0, len(part.labels_N), step):
            yield part, start, min(start + step, len(part.labels_N))


def _write_blocks(partial: Path, source: Source, state: _Progress) -> Iterator[int]:
    """Append what is missing; yields the number of images done."""
    done = sum(block.num for block in state.blocks)
    written = {split: _images_of(state.blocks, split) for split in SPLITS}
    for position, (part, start, stop) in enumerate(_pieces(source)):
        if position < len(state.blocks):
            continue
        images_NCHW = np.ascontiguousarray(part.read(start, stop))
        _write_at(partial, source, split=part.split, first=written[part.split], images=images_NCHW)
        digest = hashlib.sha256(images_NCHW.data).hexdigest()
        block = Block(split=part.split, part=part.name, num=stop - start, sha256=digest)
        _refuse_twice(block, state.blocks, source)
        if part.split == "train":
            counts_CV = np.array(state.histogram)
            add_histogram(counts_CV, images_NCHW)
            state.histogram = counts_CV.tolist()
        state.blocks.append(block)
        write_sealed(partial / "progress.json", asdict(state))
        written[part.split] += block.num
        done += block.num
        yield done


def _images_of(blocks: list[Block], split: str) -> int:
    return sum(block.num for block in blocks if block.split == split)


def _refuse_twice(block: Block, earlier: list[Block], source: Source) -> None:
    for other in earlier:
        if source.format != "folder" and (other.sha256, other.num) == (block.sha256, block.num):
            raise ValueError(
                f"{block.part}: holds the same images as {other.part}: a batch is there twice"
            )


def _write_at(partial: Path, source: Source, *, split: str, first: int, images: np.ndarray) -> None:
    path = partial / f"{split}_images.npy"
    if first == 0:
        shape = (len(source.labels(split)), *images.shape[1:])
        np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape).flush()
    header = path.stat().st_size - _num_bytes(source, split)
    with path.open("r+b") as file:  # not through the map: its pages would count as our memory
        file.seek(header + first * 3 * source.size**2)
        file.write(images.data)
        file.flush()
        os.fsync(file.fileno())


def _finish(partial: Path, source: Source, state: _Progress) -> None:
    labels = {split: source.labels(split) for split in SPLITS}
    groups = {split: source.groups(split) for split in SPLITS}
    for split in SPLITS:
        np.save(partial / f"{split}_labels.npy", labels[split])
        if source.group_names:
            np.save(partial / f"{split}_groups.npy", groups[split])
    for name, record in source.records.items():
        write_sealed(partial / name, record)
    mean_C, std_C = histogram_statistics(np.array(state.histogram))
    side = (3, source.size, source.size)
    meta = Meta(
        source=source.format,
        classes=len(source.class_names),
        class_names=source.class_names,
        shapes={split: (len(labels[split]), *side) for split in SPLITS},
        mean=mean_C,
        std=std_C,
        blocks=tuple(state.blocks),
        checksum=checksum_of(
            state.blocks,
            [labels[split] for split in SPLITS],
            test_split=source.test_split,
            grouping=(source.group_names, groups),
        ),
        test_split=source.test_split,
        group_names=source.group_names,
    )
    write_meta(partial / "meta.json", meta)
    for name in ("progress.json", "lock"):
        (partial / name).unlink()


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
