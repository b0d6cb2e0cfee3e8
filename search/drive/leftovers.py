"""Ends what a private Ray leaves behind: a process that outlives its driver, even a killed one.

Run as a script: `python leftovers.py FOLDER`. It waits until its standard input is closed, which a
killed driver cannot help doing. Then it kills all processes that have a file of FOLDER open, as all
of Ray's write their output there, and removes it. Ray's agents would stay for a minute.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PATIENCE_S = 10.0


@contextmanager
def cleaned_up(folder: str) -> Iterator[None]:
    """At the end of the body, or of this process, nothing is left of what works in `folder`."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", __file__, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,
    )
    try:
        yield
    finally:
        process.communicate()


def working_in(folder: str) -> set[int]:
    """Living processes that have a file below the folder open."""
    processes = Path("/proc").glob("[0-9]*")
    return {int(process.name) for process in processes if _has_open(process / "fd", folder)}


def _has_open(descriptors: Path, folder: str) -> bool:
    with suppress(OSError):  # it has just ended, or is somebody else's
        return any(os.readlink(one).startswith(f"{folder}/") for one in descriptors.iterdir())
    return False


def _clean_up(folder: str, *, driver: int) -> None:
    """The driver lives on after its session, with Ray's log of it open."""
    deadline = time.monotonic() + PATIENCE_S
    while (pids := working_in(folder) - {driver}) and time.monotonic() < deadline:
        for pid in pids:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    begun_by = os.getppid()
    sys.stdin.read()
    _clean_up(sys.argv[1], driver=begun_by)
