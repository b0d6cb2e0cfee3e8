"""Runs on a cluster's head: each a folder with its command, log and end; start, list, follow, stop.

A run is a plain process in its own session, not a Ray job: jobs need Ray's dashboard, which is not
in `ray[tune]`, and a job dies with its cluster where this process may still write its rows.

Its folder holds `command` (JSON), `log`, `pid` (the driver's) and, when it has ended, `exit` (its
exit code). The driver and its keeper hold a lock on the folder, so that whether it still runs is
never told by a number that another process may have by now.
"""

import fcntl
import json
import os
import select
import shlex
import signal
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from search.errors import ClusterError

STOP_S = 120.0  # running trainings write their checkpoints, at most
POLL_S = 0.5


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run.

    Args:
        folder: where it writes; its name is that of the run, and sorts by time.
    """

    folder: Path

    @property
    def words(self) -> list[str]:
        """The words behind `stac`."""
        return json.loads((self.folder / "command").read_text())

    @property
    def title(self) -> str:
        """Its name and its command."""
        return f"{self.folder.name}: stac {shlex.join(self.words)}"

    @property
    def exit(self) -> int | None:
        """Exit code; None if it runs, or was lost with its machine."""
        file = self.folder / "exit"
        return int(file.read_text()) if file.exists() else None

    @property
    def pid(self) -> int | None:
        """The driver's process; None if it has not begun."""
        file = self.folder / "pid"
        return int(file.read_text()) if file.exists() else None

    @property
    def runs(self) -> bool:
        """Whether its process is there."""
        if self.exit is not None:
            return False
        with (self.folder / "lock").open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    @property
    def state(self) -> str:
        """In words."""
        if self.runs:
            return "running"
        return "lost" if self.exit is None else f"ended with exit code {self.exit}"

    def facts(self) -> dict[str, str | int | None]:
        """What `stac cluster list` shows."""
        began = datetime.fromtimestamp((self.folder / "command").stat().st_mtime)
        return {
            "run": self.folder.name,
            "state": self.state,
            "exit": self.exit,
            "since": began.isoformat(" ", "seconds"),
            "command": f"stac {shlex.join(self.words)}",
        }


def every() -> list[Run]:
    """All runs of this head, oldest first."""
    locks = (Path.home() / ".stacnet" / "runs").glob("*/lock")
    return [Run(folder=lock.parent) for lock in sorted(locks)]


def running() -> list[Run]:
    """Those at work."""
    return [run for run in every() if run.runs]


def find(name: str | None) -> Run:
    """The run of that name; without one the newest that runs, else the newest.

    Raises:
        ClusterError: there is none.
    """
    found = [run for run in every() if name in (None, run.folder.name)]
    if not found:
        about = f"the run {name}" if name else "a run"
        raise ClusterError(f"{about} must have been submitted, got {[r.title for r in every()]}")
    return next((run for run in reversed(found) if run.runs), found[-1])


def start(words: list[str], *, stac: list[str]) -> Run:
    """Start `stac WORDS` so that it outlives whoever asked.

    Args:
        words: such as `["search", "demo", "--out", "s3://…"]`.
        stac: the program.
    """
    folder = _new_folder()
    (folder / "command").write_text(json.dumps(words))
    with (folder / ".lock").open("w") as lock, (folder / "log").open("w") as log:
        fcntl.flock(lock, fcntl.LOCK_EX)  # held until the last process that inherits it is gone
        (folder / ".lock").rename(folder / "lock")
        subprocess.Popen(
            [sys.executable, "-m", "search.cluster.on_head", "keep", str(folder), *stac, *words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=[lock.fileno()],
        )
    return Run(folder=folder)


def keep(folder: Path, command: list[str]) -> None:
    """Run the command and write how it ended, also if all of its process group is signalled."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)  # not ignored: that would be inherited
    process = subprocess.Popen(command, close_fds=False)  # it inherits the lock
    _write(folder / "pid", process.pid)
    code = process.wait()
    _write(folder / "exit", code if code >= 0 else 128 - code)


def stop(name: str | None, *, timeout_s: float = STOP_S) -> Run:
    """End a run in order: its trainings write checkpoints, its driver its rows.

    Args:
        name: which; may be left out if one runs.
        timeout_s: how long it may take.

    Raises:
        ClusterError: none or several run; it does not end.
    """
    found = [run for run in running() if name in (None, run.folder.name)]
    if len(found) != 1:
        about = f"{name} must run" if name else "one run must be named or be the only one"
        raise ClusterError(f"{about} to be stopped, got {[run.title for run in running()]}")
    run, deadline, told = found[0], time.monotonic() + timeout_s, False
    while run.runs:
        if time.monotonic() > deadline:
            raise ClusterError(f"{run.title}: must end within {timeout_s:g} s, got pid {run.pid}")
        if run.pid and not told:
            os.kill(run.pid, signal.SIGTERM)
            told = True
        time.sleep(POLL_S / 5)
    return run


def show(run: Run, *, lines: int, follow: bool) -> None:
    """Print its last lines; to follow, also what it goes on to say until it or stdin ends.

    Raises:
        ClusterError: a negative number of lines.
    """
    if lines < 0:
        raise ClusterError(f"lines must be at least 0, got {lines=}")
    with (run.folder / "log").open(errors="replace") as log:
        print("".join(deque(log, maxlen=lines)), end="", flush=True)
        while follow:
            follow = run.runs and not select.select([sys.stdin], [], [], POLL_S)[0]
            print(log.read(), end="", flush=True)


def _new_folder() -> Path:
    """A folder that nobody else got, also within the same second."""
    name, count = time.strftime("%Y%m%d-%H%M%S"), 1
    while True:
        folder = Path.home() / ".stacnet" / "runs" / (name if count == 1 else f"{name}-{count}")
        try:
            folder.mkdir(mode=0o700, parents=True)
            return folder
        except FileExistsError:
            count += 1


def _write(file: Path, number: int) -> None:
    whole = file.with_name(f".{file.name}")
    whole.write_text(str(number))
    whole.replace(file)
