"""Bytes in a folder: whole or not at all, tried again for a while, then a clear error."""

import errno
import os
import threading
from pathlib import Path

import pytest

from search.errors import StorageError, UnreadableError
from search.store import storage as module
from search.store.storage import Storage


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses are noted, and pass at once."""
    clock = [0.0]
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        clock[0] += seconds

    monkeypatch.setattr(module.time, "sleep", sleep)
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    return pauses


def failing(times: int, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """`os.replace` fails so many times."""
    real, left = os.replace, [times]

    def replace(source: Path, target: Path) -> None:
        if left[0]:
            left[0] -= 1
            raise OSError(number, os.strerror(number))
        real(source, target)

    monkeypatch.setattr(module.os, "replace", replace)


def test_what_is_written_is_read_listed_and_deleted(tmp_path: Path) -> None:
    storage = Storage(tmp_path / "a")
    storage.write("cells/one", b"1")
    storage.write("cells/one", b"2")
    assert storage.read("cells/one") == b"2"
    assert storage.names("cells") == ["one"]
    assert storage.exists("cells/one")
    storage.delete("cells/one")
    storage.delete("cells/one")
    assert not storage.exists("cells/one")
    assert storage.names("nowhere") == []


def test_a_missing_file_is_told_at_once(tmp_path: Path, no_waiting: list[float]) -> None:
    with pytest.raises(FileNotFoundError):
        Storage(tmp_path).read("nothing")
    assert no_waiting == []


def test_an_interrupted_write_leaves_the_old_bytes_and_no_visible_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = Storage(tmp_path)
    storage.write("a", b"old")
    failing(1, errno.ENOSPC, monkeypatch)
    with pytest.raises(StorageError, match=r"disk must have space, could not write a"):
        storage.write("a", b"new")
    assert storage.read("a") == b"old"
    assert storage.names() == ["a"]


def test_a_storage_that_fails_for_a_while_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_waiting: list[float]
) -> None:
    failing(10, errno.EIO, monkeypatch)
    Storage(tmp_path).write("a", b"1")
    assert Storage(tmp_path).read("a") == b"1"
    assert 20 < sum(no_waiting) < 60


def test_a_storage_that_fails_for_good_is_a_clear_error_after_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_waiting: list[float]
) -> None:
    failing(10**6, errno.EIO, monkeypatch)
    with pytest.raises(
        StorageError, match=r"storage must answer, could not write a: .*Input/output"
    ):
        Storage(tmp_path).write("a", b"1")
    assert 55 < sum(no_waiting) < 75


def test_a_full_disk_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_waiting: list[float]
) -> None:
    failing(10**6, errno.ENOSPC, monkeypatch)
    with pytest.raises(StorageError, match="disk must have space"):
        Storage(tmp_path).write("a", b"1")
    assert no_waiting == []


def test_an_unknown_kind_of_address_is_refused() -> None:
    with pytest.raises(StorageError, match=r"local path or s3://bucket/prefix, got gs://x"):
        Storage("gs://x")


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    storage, seen = Storage(tmp_path), set()
    storage.write("a", b"0" * 200_000)
    ended = threading.Event()

    def write() -> None:
        for digit in b"123456789":
            storage.write("a", bytes([digit]) * 200_000)
        ended.set()

    thread = threading.Thread(target=write)
    thread.start()
    while not ended.is_set():
        data = storage.read("a")
        seen.add((len(data), len(set(data))))
    thread.join()
    assert seen == {(200_000, 1)}


def test_a_large_file_is_put_there_in_pieces(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(os.urandom(9_000_000))
    storage = Storage(tmp_path / "there")
    storage.write("folder/small", b"")
    storage.upload("folder/large", source)
    assert storage.read("folder/large") == source.read_bytes()
    assert storage.names("folder") == ["large", "small"]


def test_an_address_that_cannot_be_a_folder_is_told_at_once(
    tmp_path: Path, no_waiting: list[float]
) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    (tmp_path / "circle").symlink_to("circle")
    for path, rule in (
        (file, "storage must be a folder"),
        (file / "below", "storage must be a folder"),
        (tmp_path / ("a" * 300), "path must be short enough"),
        (tmp_path / "circle", "links must not lead in a circle"),
    ):
        storage = Storage(path)
        with pytest.raises(StorageError, match=rule):
            storage.write("cells/a", b"1")
        with pytest.raises(StorageError, match=rule):
            storage.exists("study.json")
        with pytest.raises(StorageError, match=rule):
            storage.names("cells")
    with pytest.raises(StorageError, match="zero byte"):
        Storage("a\0b")
    assert no_waiting == []
    assert file.read_text() == "mine"


def test_a_pipe_a_folder_and_an_odd_link_are_no_files_and_nobody_waits_for_them(
    tmp_path: Path, no_waiting: list[float]
) -> None:
    storage = Storage(tmp_path)
    storage.write("whole", b"1")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "nowhere").symlink_to("nothing")
    (tmp_path / "link").symlink_to("whole")
    assert storage.files() == ["link", "whole"]
    assert storage.names() == ["folder", "link", "nowhere", "pipe", "whole"]
    for name, rule in (("pipe", "must not be a pipe"), ("folder", "must not be a folder")):
        with pytest.raises(UnreadableError, match=rule):
            storage.read(name)
        assert not storage.exists(name)
        storage.move(name, f"aside/{name}")
    assert storage.names("aside") == ["folder", "pipe"]
    assert no_waiting == []
