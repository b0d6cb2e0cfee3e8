"""Local files, so that nothing that a folder may hold makes a reader wait: pipes, odd links."""

import errno
import os
import stat


def read_regular(path: str) -> bytes:
    """The bytes of a regular file; it is replaced as a whole, so its size does not change."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # opening a pipe would wait
    try:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            number = errno.EISDIR if stat.S_ISDIR(about.st_mode) else errno.ENXIO
            raise OSError(number, os.strerror(number), path)
        pieces = [os.read(descriptor, about.st_size)]
        while sum(map(len, pieces)) < about.st_size and pieces[-1]:  # 2 GB at most in one call
            pieces.append(os.read(descriptor, about.st_size))
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)
    finally:
        os.close(descriptor)


def is_regular(path: str) -> bool:
    """Whether there is a regular file of that name, or a link to one."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except FileNotFoundError:
        return False


def scanned(path: str) -> dict[str, bool]:
    """Names in a folder, and whether each is a regular file; none if there is no folder."""
    try:
        with os.scandir(path) as entries:
            return {entry.name: _is_file(entry) for entry in entries}
    except FileNotFoundError:
        return {}


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link that leads in a circle
        return False


def sync(path: str) -> None:
    """Wait until the file is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
