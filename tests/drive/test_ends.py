"""What ends a program ends all it started, and nobody else gets a hand on it while it runs."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from searches import ROOT, descendants, gone

from search.drive.leftovers import cleaned_up, working_in
from search.drive.signals import ending

POOL = """
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from search.drive.signals import end_with_parent
if __name__ == "__main__":
    with ProcessPoolExecutor(2, get_context("spawn"), initializer=end_with_parent) as pool:
        print([one.result() for one in [pool.submit(time.sleep, 0) for _ in range(2)]], flush=True)
        pool.submit(time.sleep, 60).result()
"""


@contextmanager
def script(text: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A Python program in a session of its own; all it started is killed at the end."""
    file = folder / "script.py"
    file.write_text(text)
    process = subprocess.Popen(
        [sys.executable, file],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        for pid in (*descendants(process.pid), process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["TERM", "KILL"])
def test_workers_of_a_pool_end_with_their_parent(tmp_path: Path, number: signal.Signals) -> None:
    with script(POOL, tmp_path) as process:
        assert process.stdout
        process.stdout.readline()
        started = descendants(process.pid)
        assert len(started) >= 2
        os.kill(process.pid, number)
        process.wait()
        assert gone(started, within_s=10)


def test_every_signal_that_ends_a_run_ends_it_in_order_however_often_it_comes() -> None:
    heard: list[str] = []
    before = signal.getsignal(signal.SIGTERM)
    with ending(heard.append):
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(os.getpid(), number)
    assert heard == ["SIGTERM", "SIGTERM", "SIGINT", "SIGHUP"]
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_hangup_that_nohup_ignores_does_not_end_a_run() -> None:
    heard: list[str] = []
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ending(heard.append):
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert heard == []


def test_a_killed_driver_leaves_no_process_and_no_folder(tmp_path: Path) -> None:
    folder = tmp_path / "ray"
    folder.mkdir()
    text = f"""
import subprocess, time
from search.drive.leftovers import cleaned_up
with cleaned_up({str(folder)!r}):
    out = open({str(folder / "out")!r}, "w")
    subprocess.Popen(["sleep", "60"], stdout=out, start_new_session=True)
    print("up", flush=True)
    time.sleep(60)
"""
    with script(text, tmp_path) as process:
        assert process.stdout
        process.stdout.readline()
        started = sorted(working_in(str(folder)) - {process.pid})
        assert len(started) == 1
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert gone(started, within_s=10)
        deadline = time.monotonic() + 10
        while folder.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not folder.exists()


def test_an_ended_session_has_removed_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "ray"
    folder.mkdir()
    with cleaned_up(str(folder)):
        (folder / "file").touch()
    assert not folder.exists()
