"""The driver's desk: what Ray Tune asks and tells goes to the ledger, and back; free of Ray."""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from search.drive.ledger import Ledger
from search.drive.watcher import Watcher
from search.errors import StudyError
from search.sampling.pruner import Pruner
from search.store.lease import Lease
from search.store.lost import LOST_IN_A_ROW, Loss, stored_status, write_lost
from search.store.store import Store
from search.study.ends import End
from search.study.study import Study
from search.study.training import Job

SLICE_S = 5.0  # how long a worker trains between two reports, and a stop waits at most
REPORTS_PER_S = 100  # Tune's loop can take about 250 here: with many slots, slices are longer
STOP_S = 7.0  # after a slice, Tune ends its workers, which takes it up to 15 s; 30 s are promised


@dataclass(kw_only=True)
class Desk:
    """State of a run, and the answers to Ray Tune's questions.

    A slot is a worker with its resources: it is claimed when a job is there for it, and then
    trains one job after the other until there is none.

    Args:
        deadline: monotonic time at which the run ends, None for never.
        reason: why the run is to stop; empty while it is not.
        trouble: the error with which it ends.
    """

    store: Store
    study: Study
    ledger: Ledger
    lease: Lease
    pruner: Pruner
    watchers: list[Watcher]
    deadline: float | None = None
    reason: str = ""
    trouble: StudyError | None = None
    stop_by: float = 0.0
    claims: dict[str, Job | None] = field(default_factory=dict)  # slots to be, some for one job
    shares: dict[str, float] = field(default_factory=dict)  # share of a GPU of every slot
    jobs: dict[str, Job] = field(default_factory=dict)  # by the slot that trains it
    large: deque[Job] = field(default_factory=deque)  # want another share than the study's
    told_to_stop: set[str] = field(default_factory=set)
    lost_in_a_row: int = 0
    ended: int = 0

    def owes(self) -> bool:
        """Whether there is something to train.

        Raises:
            StudyError: the search waits for a training that nobody trains.
        """
        return not self.ledger.is_done()

    def claim(self, name: str) -> float | Literal["wait", "done"]:
        """Whether one more slot is wanted, under that name: its share of a GPU; or none now."""
        if self.reason:
            return "done"
        if self.large:
            self.claims[name] = job = self.large.popleft()
            return job.gpus
        if self.ledger.ready() > len(self.claims):
            self.claims[name] = None
            return self.study.resources.gpus
        return "wait" if self.claims or self.jobs else "done"

    def opened(self, name: str, gpus: float) -> Job | None:
        """The slot is there; its first job, or none any more."""
        self.shares[name] = gpus
        bound = self.claims.pop(name, None)
        return self._hand(name, bound or self._next(gpus))

    def reported(
        self, name: str, report: dict[str, Any]
    ) -> Job | Literal["go on", "stop", "pruned"]:
        """A worker has finished a slice; its next job, or what is to become of this one."""
        job = self.jobs.get(name)
        if job is None:
            return self._hand(name, self._next(self.shares[name])) or "stop"
        if report["epochs"]:
            for watcher in self.watchers:
                watcher.reported(job, report["epochs"])
        if report["ended"]:
            self.lost_in_a_row = 0
            self._returned(name, report["status"], report)
            return self._hand(name, self._next(self.shares[name])) or "stop"
        if job.prunable and self.pruner.should_stop(job.training.training_id, report["curve"]):
            return "pruned"
        return "go on"

    def lost(self, name: str, loss: Loss, error: Exception | None) -> None:
        """The worker is gone, or could not go on."""
        bound = self.claims.pop(name, None)
        if bound is not None:
            self.large.append(bound)
        if isinstance(error, StudyError):  # the lease keeps the job: the next run accounts for it
            self.jobs.pop(name, None)
            self.stop("trouble", error)
            return
        job = self.jobs.get(name)
        self.lost_in_a_row += 1
        if self.lost_in_a_row >= LOST_IN_A_ROW:
            rule = f"workers must come back with a result, got {LOST_IN_A_ROW} losses in a row"
            self.stop("trouble", StudyError(f"{rule}, the last: {loss.text}"))
        if job is None:
            return
        status = stored_status(job, self.store)
        if status is None:
            status, wall_s = loss.status, self.lease.held_s(job.training.training_id)
            write_lost(job, study=self.study, store=self.store, loss=loss, wall_s=wall_s)
        self._returned(name, status, {})

    @property
    def slice_s(self) -> float:
        """How long a worker trains between two reports."""
        return max(SLICE_S, len(self.jobs) / REPORTS_PER_S)

    def to_stop(self) -> list[str]:
        """Slots at work that are yet to be told that the run stops."""
        names = sorted(self.jobs.keys() - self.told_to_stop) if self.reason else []
        self.told_to_stop.update(names)
        return names

    def must_end(self) -> bool:
        """Whether Tune is to end now, whatever still runs."""
        if not self.reason and self.lease.trouble is not None:
            self.stop("trouble", self.lease.trouble)
        if not self.reason and self.deadline is not None and time.monotonic() > self.deadline:
            self.stop("time budget")
        if self.reason:
            return not self.jobs or time.monotonic() > self.stop_by
        try:
            return not self.jobs and not self.large and self.ledger.is_done()
        except StudyError as error:
            self.stop("trouble", error)
            return True

    @contextmanager
    def in_order(self) -> Iterator[None]:
        """A fault in the body ends the run in order, not in the middle of an executor's loop."""
        try:
            yield
        except StudyError as error:
            self.stop("trouble", error)
        except Exception as error:
            rule = f"no next network, got {type(error).__name__}: {error}"
            self.stop("trouble", StudyError(rule))

    def settle(self) -> None:
        """After Tune's end: jobs that were cut short but left their row are off the lease."""
        for job in self.jobs.values():
            if stored_status(job, self.store):
                self.lease.ended(job.training.training_id)

    def stop(self, reason: str, trouble: StudyError | None = None) -> None:
        """Hand out nothing more, and end when the workers have written their checkpoints."""
        if not self.reason:
            self.reason, self.trouble = reason, trouble
            self.stop_by = time.monotonic() + self.slice_s + STOP_S

    def _next(self, gpus: float) -> Job | None:
        """A job for a slot of this share."""
        for job in self.large:
            if job.gpus == gpus:
                self.large.remove(job)
                return job
        while not self.reason and gpus == self.study.resources.gpus and self.ledger.ready():
            job = self.ledger.next_job()
            if not isinstance(job, Job) or job.gpus == gpus:
                return job if isinstance(job, Job) else None
            self.large.append(job)
        return None

    def _hand(self, name: str, job: Job | None) -> Job | None:
        if job is not None:
            self.jobs[name] = job
            self.lease.started(job.training.training_id, job.to_json())
            for watcher in self.watchers:
                watcher.began(job)
        return job

    def _returned(self, name: str, status: End, report: dict[str, Any]) -> None:
        job = self.jobs.pop(name)
        self.ended += 1
        self.lease.ended(job.training.training_id)
        self.ledger.returned(job, status=status, report=report)
        for watcher in self.watchers:
            watcher.ended(job, status, report)
