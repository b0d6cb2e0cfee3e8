"""What a cache says of itself: meta.json, checked field by field, sealed by its own hash."""

import hashlib
import json
import math
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FORMAT = 1
SPLITS = ("train", "test")
SEAL = "seal"  # sha256 of all other fields; caches made before there was one have none


@dataclass(frozen=True)
class Block:
    """A run of images of one split that was written in one go, and the hash of its pixels."""

    split: str
    part: str
    num: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class DrawnSplit:
    """The test images that `prepare` split off itself: a share of each class, seeded.

    Where the images have groups it is a share of the groups, each whole.
    """

    share: float
    seed: int


@dataclass(frozen=True, kw_only=True)
class Meta:
    """All fields of meta.json; see `Cache`.

    Args:
        shapes: of the images of each split, (N, 3, S, S).
        group_names: one per group; () where the images have no groups.
    """

    source: str
    classes: int
    class_names: tuple[str, ...]
    shapes: dict[str, tuple[int, ...]]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    blocks: tuple[Block, ...]
    checksum: str
    test_split: DrawnSplit | None = None
    group_names: tuple[str, ...] = ()


def write_meta(path: Path, meta: Meta) -> None:
    """Write it, sealed."""
    write_sealed(path, asdict(meta) | {"format": FORMAT})


def read_meta(path: Path) -> Meta:
    """The checked content of a meta.json.

    Raises:
        ValueError: file, field and rule.
    """
    try:
        plain = read_sealed(path)
    except ValueError as error:
        raise ValueError(f"{error}; prepare the data again") from None
    if plain.get("format") != FORMAT:
        raise ValueError(f"{path}: format must be {FORMAT}, got {_short(plain.get('format'))}")
    for name, (rule, holds) in _RULES.items():
        if not holds(plain.get(name)):
            raise ValueError(f"{path}: {name} must be {rule}, got {_short(plain.get(name))}")
    meta = Meta(
        source=plain["source"],
        classes=plain["classes"],
        class_names=tuple(plain["class_names"]),
        mean=tuple(plain["mean"]),
        std=tuple(plain["std"]),
        checksum=plain["checksum"],
        shapes={split: tuple(shape) for split, shape in plain["shapes"].items()},
        blocks=tuple(Block(**block) for block in plain["blocks"]),
        test_split=DrawnSplit(**split) if (split := plain.get("test_split")) else None,
        group_names=tuple(plain.get("group_names") or ()),
    )
    _check_whole(path, meta)
    return meta


def _check_whole(path: Path, meta: Meta) -> None:
    if len(meta.class_names) != meta.classes:
        raise ValueError(
            f"{path}: class_names must be {meta.classes} names, got {len(meta.class_names)}"
        )
    for split in SPLITS:
        num = sum(block.num for block in meta.blocks if block.split == split)
        if num != meta.shapes[split][0]:
            raise ValueError(f"{path}: blocks must hold all {split} images, got {num}")


def write_sealed(path: Path, plain: dict[str, Any]) -> None:
    """Write JSON with its own hash: whole or not at all, on the disk when this returns."""
    fresh = path.with_suffix(".tmp")
    with fresh.open("w") as file:
        json.dump(plain | {SEAL: _seal(plain)}, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, path)


def read_sealed(path: Path) -> dict[str, Any]:
    """A JSON object whose hash fits, if it has one.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is not a file, not a JSON object, or was changed.
    """
    if path.exists() and not path.is_file():
        raise ValueError(f"{path}: must be a file")
    try:
        plain = json.loads(path.read_text())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not JSON: {error}") from None
    if not isinstance(plain, dict):
        raise ValueError(f"{path}: must be a JSON object, got {_short(plain)}")
    seal = plain.pop(SEAL, None)
    if seal is not None and seal != _seal(plain):
        raise ValueError(f"{path}: damaged: it has changed since it was written")
    return plain


def _seal(plain: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def _short(value: Any) -> str:
    return json.dumps(value)[:80]


def _is_count(value: Any) -> bool:
    return type(value) is int and 1 <= value < 2**53


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _list_of(num: int | None, holds: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: (
        isinstance(value, list) and num in (None, len(value)) and all(map(holds, value))
    )


def _is_shape(value: Any) -> bool:
    return _list_of(4, _is_count)(value) and value[1] == 3 and value[2] == value[3]


def _is_block(value: Any) -> bool:
    texts = ("split", "part", "sha256")
    return (
        isinstance(value, dict)
        and value.keys() == {*texts, "num"}
        and all(_is_text(value[name]) for name in texts)
        and value["split"] in SPLITS
        and _is_count(value["num"])
    )


def _is_level(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and 0 <= value <= 255


def _is_split(value: Any) -> bool:
    return value is None or (
        isinstance(value, dict)
        and value.keys() == {"share", "seed"}
        and type(value["share"]) is float
        and 0 < value["share"] < 1
        and type(value["seed"]) is int
    )


_RULES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "source": ("text", _is_text),
    "classes": ("a number from 1", _is_count),
    "class_names": ("a list of names", _list_of(None, _is_text)),
    "shapes": (
        "the shape (images, 3, side, side) of train and test",
        lambda value: (
            isinstance(value, dict)
            and value.keys() == set(SPLITS)
            and all(map(_is_shape, value.values()))
        ),
    ),
    "mean": ("3 numbers in 0..255", _list_of(3, _is_level)),
    "std": ("3 numbers above 0", _list_of(3, lambda value: _is_level(value) and value > 0)),
    "blocks": ("a list of blocks", _list_of(None, _is_block)),
    "checksum": ("text", _is_text),
    "test_split": ("a share and a seed", _is_split),
    "group_names": (
        "a list of names",
        lambda value: value is None or _list_of(None, _is_text)(value),
    ),
}
