"""Writes small data sets in the official formats."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np


def write_imagenet(folder: Path, *, size: int = 16, per_batch: int = 30, seed: int = 0) -> None:
    """Ten training batches and `val_data`, labels 1..1000, the last label in every batch."""
    rng = np.random.default_rng(seed)
    for batch in range(1, 11):
        content = _batch(rng, num=per_batch, size=size, first=1, classes=1000)
        content |= {"mean": rng.random(3 * size**2) * 255}
        dump(folder / f"train_data_batch_{batch}", content)
    dump(folder / "val_data", _batch(rng, num=per_batch, size=size, first=1, classes=1000))


def write_cifar10(folder: Path, *, per_batch: int = 40, seed: int = 0) -> None:
    """Five training batches with bytes keys, as Python 2 wrote them, test_batch and the names."""
    rng = np.random.default_rng(seed)
    for name in (*(f"data_batch_{batch}" for batch in range(1, 6)), "test_batch"):
        content = _batch(rng, num=per_batch, size=32, first=0, classes=10)
        dump(folder / name, {key.encode(): value for key, value in content.items()})
    names = [b"airplane", b"automobile", b"bird", b"cat", b"deer", b"dog", b"frog", b"horse"]
    dump(folder / "batches.meta", {b"label_names": [*names, b"ship", b"truck"]})


def write_cifar100(folder: Path, *, num: int = 300, seed: int = 0) -> None:
    """`train` and `test` with fine and coarse labels; no `meta`."""
    rng = np.random.default_rng(seed)
    for name in ("train", "test"):
        content = _batch(rng, num=num, size=32, first=0, classes=100)
        content["fine_labels"] = content.pop("labels")
        content["coarse_labels"] = [0] * num
        dump(folder / name, {key.encode(): value for key, value in content.items()})


def dump(path: Path, content: Any, *, protocol: int = 4) -> None:
    """One pickle file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content, protocol=protocol))


def raw_batch(folder: Path, name: str) -> dict[str, Any]:
    """The content of a file written here."""
    return pickle.loads((folder / name).read_bytes())


def _batch(
    rng: np.random.Generator, *, num: int, size: int, first: int, classes: int
) -> dict[str, Any]:
    data = rng.integers(0, 256, (num, 3 * size**2), dtype=np.uint8)
    labels = rng.integers(first, first + classes, num)
    labels[:2] = first, first + classes - 1
    return {"data": data, "labels": labels.tolist()}


def nested() -> bytes:
    """A tuple of two references to a tuple of two references ..., 60 deep, as opcodes."""
    return b")" + b"2\x86" * 60
