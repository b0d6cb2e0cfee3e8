"""Bytes under a folder, on a local disk or in an object store, written all or not at all."""

import errno
import os
import time
import uuid
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from pyarrow import fs

from search.errors import StorageError, UnreadableError
from search.store.local_files import is_regular, read_regular, scanned, sync
from search.store.sealed import seal, unseal
from search.store.shipped import SCHEME, shipped_folder

_T = TypeVar("_T")
PATIENCE_S = 60.0  # how long a storage that fails is tried again
FIRST_PAUSE_S = 0.1
# Waiting does not help against these; each with the rule that is broken.
RULES = {
    errno.ENOSPC: "disk must have space",
    errno.EDQUOT: "disk quota must have space",
    errno.EROFS: "storage must be writable",
    errno.EACCES: "storage must be permitted",
    errno.EPERM: "storage must be permitted",
    errno.ENOTDIR: "storage must be a folder",
    errno.EEXIST: "storage must be a folder",
    errno.EISDIR: "a file must not be a folder",
    errno.ENXIO: "a file must not be a pipe or a device",
    errno.ENAMETOOLONG: "path must be short enough for the file system",
    errno.ELOOP: "links must not lead in a circle",
    errno.EINVAL: "path must suit the file system",
}


class Storage:
    """A folder by its address: a local path, `s3://bucket/prefix`, or `bench:NAME`.

    S3 takes its endpoint, region and credentials from the standard AWS environment variables.
    An operation that fails is tried again for about a minute. A study that ships is never changed.

    Args:
        path: local path or address; made when first written.

    Raises:
        StorageError: every method, when the storage refuses or keeps failing.
    """

    def __init__(self, path: str | Path) -> None:
        text = str(path)
        if "\0" in text:
            raise StorageError(f"path must have no zero byte, got {text!r}")
        self.is_shipped = text.startswith(SCHEME)
        if self.is_shipped:
            text = str(shipped_folder(text))
        self.is_local = "://" not in text
        if self.is_local:
            self.address = str(Path(text).expanduser().absolute())
            self._files, self._root = fs.LocalFileSystem(), self.address
        elif text.startswith("s3://"):
            self.address = text.rstrip("/")
            self._files, self._root = _s3(), self.address.removeprefix("s3://")
        else:
            raise StorageError(f"storage must be a local path or s3://bucket/prefix, got {text}")

    def read(self, name: str) -> bytes:
        """The whole file; it never waits on what is not a regular file.

        Raises:
            FileNotFoundError: there is none.
            UnreadableError: it can never be read.
        """

        def once() -> bytes:
            if self.is_local:
                return read_regular(self._at(name))
            with self._files.open_input_stream(self._at(name)) as stream:
                return stream.read()

        try:
            return self._patiently(once, f"read {name}")
        except StorageError as error:
            if getattr(error.__cause__, "errno", None) in RULES:
                raise UnreadableError(str(error)) from None
            raise

    def read_json(self, name: str) -> Any:
        """What `write_json` wrote; JSON without a checksum is read as it is.

        Raises:
            FileNotFoundError: there is none.
            StoreError: it is not JSON, or not as it was written; the file is named.
        """
        return unseal(self.read(name), source=f"{self.address}/{name}")

    def write_json(self, name: str, plain: dict[str, Any]) -> None:
        """Replace the file by a JSON object with a checksum, for people to read."""
        self.write(name, seal(plain, indent=1).encode())

    def write(self, name: str, data: bytes) -> None:
        """Replace the file: a reader sees the old bytes or the new ones, also after a crash."""
        self.assert_changeable(name)
        once = self._write_local if self.is_local else self._put
        self._patiently(lambda: once(name, data), f"write {name}")

    def upload(self, name: str, source: Path) -> None:
        """Put a local file there, a piece at a time; whole or not at all, like `write`."""
        self.assert_changeable(name)

        def once() -> None:
            hidden = PurePosixPath(name).with_name(f".{PurePosixPath(name).name}")
            target = self._at(str(hidden) if self.is_local else name)
            if self.is_local:
                Path(target).parent.mkdir(parents=True, exist_ok=True)
            with source.open("rb") as file, self._files.open_output_stream(target) as stream:
                while piece := file.read(1 << 22):
                    stream.write(piece)
            if self.is_local:
                sync(target)
                os.replace(target, self._at(name))

        self._patiently(once, f"write {name}")

    def names(self, folder: str = "") -> list[str]:
        """Names of the files and folders in a folder, sorted, but for hidden ones (leading dot)."""
        return sorted(name for name in self._listed(folder) if not name.startswith("."))

    def files(self, folder: str = "") -> list[str]:
        """Those of the names that are regular files, or links to one."""
        listed = self._listed(folder).items()
        return sorted(name for name, is_file in listed if is_file and not name.startswith("."))

    def exists(self, name: str) -> bool:
        """Whether there is a file of that name."""

        def once() -> bool:
            if self.is_local:
                return is_regular(self._at(name))
            return self._files.get_file_info(self._at(name)).type == fs.FileType.File

        return self._patiently(once, f"find {name}")

    def move(self, name: str, to: str) -> None:
        """Give a file (or, locally, anything else) another name."""
        self.assert_changeable(name)

        def once() -> None:
            if self.is_local:
                Path(self._at(to)).parent.mkdir(parents=True, exist_ok=True)
                os.rename(self._at(name), self._at(to))
            else:
                self._files.move(self._at(name), self._at(to))

        self._patiently(once, f"move {name}")

    def delete(self, name: str) -> None:
        """Remove a file; it may be gone already."""
        self.assert_changeable(name)

        def once() -> None:
            try:
                self._files.delete_file(self._at(name))
            except FileNotFoundError:
                return

        self._patiently(once, f"delete {name}")

    def delete_folder(self, folder: str) -> None:
        """Remove a folder with what it holds; it may be gone already."""
        self.assert_changeable(folder)

        def once() -> None:
            try:
                self._files.delete_dir(self._at(folder))
            except FileNotFoundError:
                return

        self._patiently(once, f"delete {folder}")

    def _listed(self, folder: str) -> dict[str, bool]:
        """Name -> whether it is a regular file."""

        def once() -> dict[str, bool]:
            if self.is_local:
                return scanned(self._at(folder))
            selector = fs.FileSelector(self._at(folder), allow_not_found=True)
            found = self._files.get_file_info(selector)
            return {PurePosixPath(i.path).name: i.type == fs.FileType.File for i in found}

        return self._patiently(once, f"list {folder}".rstrip())

    def assert_changeable(self, name: str) -> None:
        """Raise StorageError for a study that ships."""
        if self.is_shipped:
            raise StorageError(
                f"{self.address}: a study that ships must stay as it is, got a change of {name}; "
                f"copy the folder to go on with it"
            )

    def _at(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    def _write_local(self, name: str, data: bytes) -> None:
        target = Path(self._at(name))
        target.parent.mkdir(parents=True, exist_ok=True)
        hidden = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
        try:
            with hidden.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(hidden, target)
        finally:
            hidden.unlink(missing_ok=True)

    def _put(self, name: str, data: bytes) -> None:
        with self._files.open_output_stream(self._at(name)) as stream:  # one PUT at close
            stream.write(data)

    def _patiently(self, once: Callable[[], _T], what: str) -> _T:
        started, pause = time.monotonic(), FIRST_PAUSE_S
        while True:
            try:
                return once()
            except FileNotFoundError:
                raise
            except OSError as error:
                spent = time.monotonic() - started
                if error.errno in RULES or spent > PATIENCE_S:
                    raise StorageError(_sentence(self.address, what, error)) from error
            time.sleep(pause)
            pause = min(2 * pause, 5.0)


def _sentence(address: str, what: str, error: OSError) -> str:
    rule = RULES.get(error.errno or 0, "storage must answer")
    return f"{address}: {rule}, could not {what}: {error}"


def _s3() -> fs.FileSystem:
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL", "")
    scheme, _, host = endpoint.rpartition("://")
    place = {"endpoint_override": host, "scheme": scheme or "https"} if host else {}
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if region:
        place["region"] = region
    return fs.S3FileSystem(allow_delayed_open=True, **place)  # small files in one PUT
