"""One driver per study: a file with a heartbeat, and what was running when it stopped."""

import os
import socket
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from search.errors import LeaseError, StoreError, StudyError
from search.store.in_flight import InFlight, Running
from search.store.processes import process_identity, this_machine
from search.store.storage import Storage

FILE = "lease.json"
STALE_S = 20.0  # a heart that has not beaten for so long has stopped
POLL_S = 0.25
DAMAGED_S = 6.0  # within that a heart beats, also on an object store
SOON = 0.125  # of the interval between two heartbeats


class Clock:
    """Time of this machine, for waiting: only differences count."""

    monotonic = staticmethod(time.monotonic)
    sleep = staticmethod(time.sleep)


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
        running: training id -> job.
        previous: the driver it took over from, until what that one had begun is accounted for.
    """

    owner: str
    hostname: str
    pid: int
    machine: str
    number: int
    beat_at: str
    life_s: float
    running: dict[str, Running] = field(default_factory=dict)
    previous: "Beat | None" = None


def read_beat(storage: Storage) -> Beat | None:
    """The lease as it stands; None if there is none or it is damaged."""
    try:
        return _beat(storage.read_json(FILE))
    except (FileNotFoundError, StoreError, TypeError, KeyError, AttributeError):
        return None


def _beat(plain: dict[str, Any]) -> Beat:
    running = {training: Running(**job) for training, job in plain.pop("running").items()}
    previous = plain.pop("previous", None)
    return Beat(running=running, previous=previous and _beat(previous), **plain)


def assert_held(storage: Storage, owner: str) -> None:
    """What every worker asks before it begins and before it writes.

    Args:
        owner: of the lease under which it was given its job.

    Raises:
        LeaseError: the study has another driver by now, or none.
    """
    beat = read_beat(storage)
    if beat is None and storage.exists(FILE):  # damaged: a living driver writes it anew
        time.sleep(DAMAGED_S)
        beat = read_beat(storage)
    if beat is None or beat.owner != owner:
        raise LeaseError(_refusal(storage, beat))


class Lease:
    """The right to drive a study, renewed by a thread until `release`.

    Each heartbeat writes down which jobs of `in_flight` are in workers' hands.

    Args:
        storage: of the study.
        clock: another one than this machine's; `beat` is then called from outside.

    Raises:
        LeaseError: on construction, if another driver lives.
    """

    def __init__(self, storage: Storage, *, clock: Clock | None = None) -> None:
        self._storage, self._clock = storage, clock or Clock()
        self._interval_s = 2.0 if storage.is_local else 5.0
        self.owner = uuid.uuid4().hex
        self._pid, self._machine = os.getpid(), process_identity(os.getpid()) or ""
        self._started = self._clock.monotonic()
        self.in_flight = InFlight(self.owner, lambda: self.life_s)
        self._number = 0
        self._ended = threading.Event()
        self.trouble: StudyError | None = None
        self.previous: Beat | None = None
        self._take()
        self._thread = threading.Thread(target=self._beat_on, name="heartbeat", daemon=True)
        if clock is None:
            self._thread.start()

    def __enter__(self) -> "Lease":
        return self

    def __exit__(self, *error: object) -> None:
        self.release()

    @property
    def life_s(self) -> float:
        """Seconds since the lease was taken."""
        return self._clock.monotonic() - self._started

    def settled(self) -> None:
        """What the previous driver had begun is accounted for."""
        self.previous = None
        self.beat()

    def beat(self) -> None:
        """Renew the lease.

        Raises:
            StudyError: it is another driver's by now, or the storage fails.
        """
        if read_beat(self._storage) is not None or not self._storage.exists(FILE):
            assert_held(self._storage, self.owner)
        self._write()

    def release(self) -> None:
        """Stop the heart and give the study free.

        With jobs still in workers' hands the file stays and names them, for the next driver.
        """
        self._ended.set()
        self.in_flight.begun.set()
        if self._thread.is_alive():
            self._thread.join()
        if self.trouble is None:
            with suppress(StudyError):  # another driver's by now, or no storage: it stays
                self.beat()
                if not self.in_flight.running() and not self.previous:
                    self._storage.delete(FILE)

    def _take(self) -> None:
        if self._storage.exists(FILE):
            self.previous = _wait_until_stale(self._storage, self._clock)
        self._write()
        self._clock.sleep(POLL_S)  # two that saw the same stale lease: the last writer keeps it
        assert_held(self._storage, self.owner)

    def _write(self) -> None:
        self._number += 1
        beat = Beat(
            owner=self.owner,
            hostname=socket.gethostname(),
            pid=self._pid,
            machine=self._machine,
            number=self._number,
            beat_at=datetime.now(UTC).isoformat(timespec="seconds"),
            life_s=self.life_s,
            running=self.in_flight.running(),
            previous=self.previous,
        )
        self._storage.write_json(FILE, asdict(beat))

    def _beat_on(self) -> None:
        """Every interval, and soon after a job was begun: what is not written cannot be counted."""
        while not self._ended.wait(self._interval_s * SOON):
            self.in_flight.begun.wait(self._interval_s * (1 - SOON))
            self.in_flight.begun.clear()
            if self._ended.is_set():
                return
            try:
                self.beat()
            except StudyError as error:
                self.trouble = error
                return


def is_dead_here(beat: Beat) -> bool:
    """Whether the driver was on this machine and its process is gone."""
    here = this_machine()
    if here is None:
        return False  # no /proc: the heartbeat alone decides
    return beat.machine.startswith(here) and process_identity(beat.pid) != beat.machine


def _wait_until_stale(storage: Storage, clock: Clock) -> Beat | None:
    """The last heartbeat of a driver that is dead, or silent for long by our own clock.

    Clocks of two machines are never compared. A file that cannot be read is watched in the same
    way: a living driver writes it anew.
    """
    beat = read_beat(storage)
    deadline = clock.monotonic() + STALE_S
    while clock.monotonic() < deadline and storage.exists(FILE):
        if beat is not None and is_dead_here(beat):
            break
        clock.sleep(POLL_S)
        latest = read_beat(storage)
        if latest is not None and latest != beat:
            raise LeaseError(_refusal(storage, latest))
    return beat


def _refusal(storage: Storage, beat: Beat | None) -> str:
    if beat is None:
        return f"{storage.address}: the lease must stay while a study is driven, got none"
    return (
        f"{storage.address}: a study has one driver at a time, got one alive on {beat.hostname}, "
        f"pid {beat.pid}, last heartbeat {beat.beat_at}"
    )
