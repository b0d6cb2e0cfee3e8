"""`stac data prepare`: official files -> one memory-mapped cache; atomic, checksummed, resumable.

Blocks of images are appended to a hidden folder beside the target; after each block a small file
says how far it got. At the end the folder is renamed. Memory is bounded by one block.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from stacnet.data.cache import FORMAT, SPLITS, Block, Cache, checksum_of, open_cache
from stacnet.data.folder import is_image_folder, open_folder
from stacnet.data.images import add_histogram, histogram_statistics
from stacnet.data.official import find_layout, open_official
from stacnet.data.source import Part, Source

BLOCK_BYTES = 32 << 20


@dataclass
class _Progress:
    """What is safely on disk."""

    source: str
    blocks: list[Block] = field(default_factory=list)
    histogram: list[list[int]] = field(default_factory=lambda: [[0] * 256 for _ in range(3)])


def open_source(folder: Path, *, size: int | None = None) -> Source:
    """Recognise and check the data in a folder.

    Args:
        size: side that images of an image folder are resized to, pixels; official data has its own.

    Raises:
        ValueError: nothing is recognised, or what is there is not whole.
    """
    layout = find_layout(folder)
    if layout is not None:
        source = open_official(folder, layout)
        if size not in (None, source.size):
            raise ValueError(f"{folder}: {layout.name} here has size {source.size}, got {size=}")
        return source
    if not is_image_folder(folder):
        raise ValueError(
            f"{folder}: must hold ImageNet (train_data_batch_1), CIFAR (data_batch_1, train) or "
            f"images (train/<class>/), got neither"
        )
    if size is None:
        raise ValueError(f"{folder}: a folder of images needs a size, got {size=}")
    return open_folder(folder, size=size)


def prepare(
    source: Source, target: Path, *, progress: Callable[[int, int], None] | None = None
) -> Cache:
    """Write the cache; a cache that was begun is continued.

    Args:
        source: what `open_source` found.
        target: folder of the new cache.
        progress: called with images done and images in all.

    Raises:
        ValueError: the target exists, is being written by another process, or the source holds a
            batch twice.
    """
    if target.exists():
        raise ValueError(f"{target}: already there; remove it to prepare again")
    partial = target.parent / f".{target.name}.partial"
    partial.mkdir(parents=True, exist_ok=True)
    with (partial / "lock").open("w") as lock:
        _lock(lock.fileno(), target)
        state = _resume(partial, source)
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
    fresh = _Progress(source=_fingerprint(source))
    try:
        plain = json.loads((partial / "progress.json").read_text())
    except FileNotFoundError:
        return fresh
    if plain["source"] != fresh.source:
        return fresh
    blocks = [Block(**block) for block in plain["blocks"]]
    return _Progress(source=fresh.source, blocks=blocks, histogram=plain["histogram"])


def _fingerprint(source: Source) -> str:
    """Changes when a file of the source does."""
    digest = hashlib.sha256(repr((FORMAT, source.format, source.size)).encode())
    for part in source.parts:
        status = part.path.stat()
        digest.update(repr((part.name, status.st_size, status.st_mtime_ns)).encode())
        digest.update(part.labels_N.tobytes())
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
        _write_json(partial / "progress.json", asdict(state))
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
    shape = (len(source.labels(split)), *images.shape[1:])
    if first == 0:
        np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape).flush()
    header = path.stat().st_size - int(np.prod(shape))
    with path.open("r+b") as file:  # not through the map: its pages would count as our memory
        file.seek(header + first * int(np.prod(shape[1:])))
        file.write(images.data)
        file.flush()
        os.fsync(file.fileno())


def _finish(partial: Path, source: Source, state: _Progress) -> None:
    labels = {split: source.labels(split) for split in SPLITS}
    for split in SPLITS:
        np.save(partial / f"{split}_labels.npy", labels[split])
    mean_C, std_C = histogram_statistics(np.array(state.histogram))
    side = (3, source.size, source.size)
    meta = {
        "format": FORMAT,
        "source": source.format,
        "classes": len(source.class_names),
        "class_names": source.class_names,
        "shapes": {split: [len(labels[split]), *side] for split in SPLITS},
        "mean": mean_C,
        "std": std_C,
        "blocks": [asdict(block) for block in state.blocks],
        "checksum": checksum_of(state.blocks, [labels[split] for split in SPLITS]),
    }
    _write_json(partial / "meta.json", meta)
    for name in ("progress.json", "lock"):
        (partial / name).unlink()


def _write_json(path: Path, value: object) -> None:
    fresh = path.with_suffix(".tmp")
    with fresh.open("w") as file:
        json.dump(value, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, path)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
