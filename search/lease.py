"""One driver per study: a file with a heartbeat, and what was running when it stopped."""

import json
import os
import socket
import threading
import time
import uuid
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from search.errors import LeaseError, StudyError
from search.storage import Storage

FILE = "lease.json"
STALE_S = 20.0  # a heart that has not beaten for so long has stopped
POLL_S = 0.25
SOON = 0.125  # of the interval between two heartbeats


@dataclass(frozen=True, kw_only=True)
class Running:
    """A job in a worker's hands. `since_s` is seconds of the driver's life at its start."""

    job: str
    since_s: float


@dataclass(frozen=True, kw_only=True)
class Beat:
    """What the lease file says.

    Args:
        owner: random name of the driver.
        hostname, pid: where it lives.
        machine: boot, pid namespace and start time of the process: not reused, unlike a pid.
        number: of the heartbeat.
        beat_at: time of day of the heartbeat, for people.
        life_s: seconds since the driver took the lease, by its own clock.
        running: cell id -> job.
    """

    owner: str
    hostname: str
    pid: int
    machine: str
    number: int
    beat_at: str
    life_s: float
    running: dict[str, Running] = field(default_factory=dict)


def read_beat(storage: Storage) -> Beat | None:
    """The lease as it stands; None if there is none or it is damaged."""
    try:
        plain = json.loads(storage.read(FILE))
        running = {cell: Running(**job) for cell, job in plain.pop("running").items()}
        return Beat(running=running, **plain)
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None


class Lease:
    """The right to drive a study, renewed by a thread until `release`.

    Args:
        storage: of the study.

    Raises:
        LeaseError: on construction, if another driver lives.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._interval_s = 2.0 if storage.is_local else 5.0
        self._owner = uuid.uuid4().hex
        self._pid, self._machine = os.getpid(), process_identity(os.getpid()) or ""
        self._started = time.monotonic()
        self._running: dict[str, Running] = {}
        self._number = 0
        self._lock = threading.Lock()
        self._ended, self._news = threading.Event(), threading.Event()
        self.trouble: StudyError | None = None
        self.previous = self._take()
        self._thread = threading.Thread(target=self._beat_on, name="heartbeat", daemon=True)
        self._thread.start()

    def started(self, cell_id: str, job: str) -> None:
        """A worker has begun the job."""
        with self._lock:
            self._running[cell_id] = Running(job=job, since_s=self.life_s)
        self._news.set()

    def ended(self, cell_id: str) -> None:
        """The job has left the worker."""
        with self._lock:
            self._running.pop(cell_id, None)

    def held_s(self, cell_id: str) -> float:
        """Seconds that the worker has had the job; 0 if it was not begun."""
        with self._lock:
            running = self._running.get(cell_id)
        return self.life_s - running.since_s if running else 0.0

    @property
    def life_s(self) -> float:
        """Seconds since the lease was taken."""
        return time.monotonic() - self._started

    def release(self) -> None:
        """Stop the heart and give the study free.

        With jobs still in workers' hands the file stays: the next driver accounts for them.
        """
        self._ended.set()
        self._news.set()
        self._thread.join()
        if self.trouble is None and not self._running:
            self._storage.delete(FILE)

    def _take(self) -> Beat | None:
        beat = read_beat(self._storage)
        if beat is not None:
            _wait_until_stale(self._storage, beat)
        self._write()
        time.sleep(POLL_S)  # two that saw the same stale lease: the last writer keeps it
        self._check()
        return beat

    def _check(self) -> None:
        beat = read_beat(self._storage)
        if beat is None or beat.owner != self._owner:
            raise LeaseError(_refusal(self._storage, beat))

    def _write(self) -> None:
        self._number += 1
        with self._lock:
            beat = Beat(
                owner=self._owner,
                hostname=socket.gethostname(),
                pid=self._pid,
                machine=self._machine,
                number=self._number,
                beat_at=datetime.now(UTC).isoformat(timespec="seconds"),
                life_s=self.life_s,
                running=dict(self._running),
            )
        self._storage.write(FILE, json.dumps(asdict(beat)).encode())

    def _beat_on(self) -> None:
        """Every interval, and soon after a job was begun: what is not written cannot be counted."""
        while not self._ended.wait(self._interval_s * SOON):
            self._news.wait(self._interval_s * (1 - SOON))
            self._news.clear()
            if self._ended.is_set():
                return
            try:
                self._check()
                self._write()
            except StudyError as error:
                self.trouble = error
                return


def process_identity(pid: int) -> str | None:
    """Boot, pid namespace and start time of a process here; None if there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        state, start_ticks = stat[0], stat[19]
        return None if state == "Z" else f"{_where(boot)} {start_ticks}"
    except (FileNotFoundError, ProcessLookupError):
        return None


def is_dead_here(beat: Beat) -> bool:
    """Whether the driver was on this machine and its process is gone."""
    try:
        here = _where(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
    except FileNotFoundError:
        return False  # no /proc: the heartbeat alone decides
    return beat.machine.startswith(here) and process_identity(beat.pid) != beat.machine


def _where(boot: str) -> str:
    return f"{boot} {socket.gethostname()} {os.readlink('/proc/self/ns/pid')}"


def _wait_until_stale(storage: Storage, beat: Beat) -> None:
    """Watch the heart by our own clock; clocks of two machines are never compared."""
    deadline = time.monotonic() + STALE_S
    while time.monotonic() < deadline:
        if is_dead_here(beat):
            return
        time.sleep(POLL_S)
        latest = read_beat(storage)
        if latest is None:
            return
        if (latest.owner, latest.number) != (beat.owner, beat.number):
            raise LeaseError(_refusal(storage, latest))


def _refusal(storage: Storage, beat: Beat | None) -> str:
    if beat is None:
        return f"{storage.address}: the lease must stay while a study is driven, got none"
    return (
        f"{storage.address}: a study has one driver at a time, got one alive on {beat.hostname}, "
        f"pid {beat.pid}, last heartbeat {beat.beat_at}"
    )
