"""Jobs in flight: handed out and not returned yet. The only book of them; the lease writes it."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from search.study.training import Job, Key


@dataclass(frozen=True, kw_only=True)
class Running:
    """A job in a worker's hands. `since_s` is seconds of the driver's life at its start."""

    job: str
    since_s: float


@dataclass(kw_only=True)
class Entry:
    """Where a job is.

    Args:
        slot: that has it, or was claimed for it; empty while it waits for one, or was left.
        running: since a worker began it, also when that one gave up.
    """

    job: Job
    slot: str = ""
    running: Running | None = None


class InFlight:
    """Every job between the ledger that hands it out and the ledger to which it returns.

    Args:
        owner: of the lease under which the jobs are handed out.
        life_s: seconds of the driver's life.
    """

    def __init__(self, owner: str = "", life_s: Callable[[], float] = monotonic) -> None:
        self.owner, self.begun = owner, threading.Event()
        self._life_s = life_s
        self._lock = threading.Lock()  # the heartbeat reads in a thread of its own
        self._entries: dict[Key, Entry] = {}
        self._waiting: dict[Key, Job] = {}  # these three find entries among 10,000 at once
        self._bound: dict[str, Entry] = {}
        self._at: dict[str, Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def hand_out(self, job: Job) -> None:
        """It waits for a slot."""
        self._waiting[job.training.key] = job
        with self._lock:
            self._entries[job.training.key] = Entry(job=job)

    def waiting(self, gpus: float | None = None) -> Job | None:
        """The first that waits for a slot, of that share of a GPU or of any."""
        jobs = self._waiting.values()
        return next((job for job in jobs if gpus is None or job.gpus == gpus), None)

    def bind(self, job: Job, slot: str) -> None:
        """A slot was claimed for it."""
        self._bound[slot] = self._placed(job, slot)

    def begin(self, job: Job, slot: str) -> None:
        """The slot's worker has it; the lease is to say so soon."""
        self._bound.pop(slot, None)
        entry = self._at[slot] = self._placed(job, slot)
        entry.running = Running(job=job.to_json(), since_s=self._life_s())
        self.begun.set()

    def bound(self, slot: str) -> Job | None:
        """For which the slot was claimed, until it begins it."""
        entry = self._bound.get(slot)
        return entry.job if entry else None

    def at(self, slot: str) -> Job | None:
        """Which the slot's worker has."""
        entry = self._at.get(slot)
        return entry.job if entry else None

    def at_work(self) -> list[str]:
        """Slots whose workers have a job."""
        return list(self._at)

    def leave(self, slot: str) -> None:
        """The slot is gone: what it had not begun waits again, what it had begun is left as it is.

        A job that was left stays on the lease: the next driver accounts for it.
        """
        left, bound = self._at.pop(slot, None), self._bound.pop(slot, None)
        for entry in (left, bound):
            if entry is not None:
                entry.slot = ""
        if bound is not None:
            self._waiting = {bound.job.training.key: bound.job, **self._waiting}

    def returned(self, job: Job) -> bool:
        """It is off the book.

        Returns:
            Whether it was on it, with this attempt.
        """
        entry = self._entries.get(job.training.key)
        if entry is None or entry.job.attempt != job.attempt:
            return False
        self._waiting.pop(job.training.key, None)
        self._bound.pop(entry.slot, None)
        self._at.pop(entry.slot, None)
        with self._lock:
            del self._entries[job.training.key]
        return True

    def held_s(self, job: Job) -> float:
        """Seconds since a worker began it; 0 if none has."""
        entry = self._entries.get(job.training.key)
        return self._life_s() - entry.running.since_s if entry and entry.running else 0.0

    def running(self) -> dict[str, Running]:
        """What the lease says: by training, what workers have or had when they gave up."""
        with self._lock:
            entries = list(self._entries.values())
        return {e.job.training.training_id: e.running for e in entries if e.running}

    def _placed(self, job: Job, slot: str) -> Entry:
        entry = self._entries[job.training.key]
        entry.slot = slot
        self._waiting.pop(job.training.key, None)
        return entry
