"""All files below a folder with certain endings; links are followed, and a loop of links ends."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Found:
    """A file: where it was found, where it really lies, its size, and when it changed."""

    path: str
    real: str
    stamp: tuple[int, int]


def walk(folder: Path, endings: tuple[str, ...], *, kind: str) -> Iterator[Found]:
    """Visible files whose names end so, in small or capital letters; no folder is entered twice.

    Args:
        kind: what they are, for messages, such as "an image".

    Raises:
        ValueError: something of that name is not a file.
    """
    left, seen = [str(folder)], set()
    while left:
        here = left.pop()
        real = os.path.realpath(here)
        if real in seen:
            continue
        seen.add(real)
        with os.scandir(here) as entries:
            visible = sorted((e for e in entries if e.name[0] != "."), key=lambda e: e.name)
        for entry in visible:
            if os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir():
                left.append(entry.path)
            elif entry.name.lower().endswith(endings):
                if not os.path.isfile(entry.path):  # False also for a link to itself
                    raise ValueError(f"{entry.path}: {kind} must be a file, or a link to one")
                yield _found(entry, real)


def _found(entry: os.DirEntry, folder: str) -> Found:
    lies_at, status = os.path.join(folder, entry.name), entry.stat()
    return Found(
        path=entry.path,
        real=os.path.realpath(lies_at) if entry.is_symlink() else lies_at,
        stamp=(status.st_size, status.st_mtime_ns),
    )
