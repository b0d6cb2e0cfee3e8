"""The driver's desk: what Ray Tune asks and tells goes to the ledger, and back; free of Ray."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from search.drive.ledger import Ledger
from search.drive.watcher import Watcher
from search.errors import StudyError
from search.sampling.pruner import Pruner
from search.store.in_flight import InFlight
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
    claims: set[str] = field(default_factory=set)  # slots to be, for whatever is next
    shares: dict[str, float] = field(default_factory=dict)  # share of a GPU of every slot
    told_to_stop: set[str] = field(default_factory=set)
    lost_in_a_row: int = 0
    ended: int = 0

    @property
    def in_flight(self) -> InFlight:
        """Jobs that are out."""
        return self.lease.in_flight

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
        job = self.in_flight.waiting()
        if job is not None:
            self.in_flight.bind(job, name)
            return job.gpus
        if self.ledger.ready() > len(self.claims):
            self.claims.add(name)
            return self.study.resources.gpus
        return "wait" if self.claims or self.in_flight else "done"

    def opened(self, name: str, gpus: float) -> Job | None:
        """The slot is there; its first job, or none any more."""
        self.shares[name] = gpus
        self.claims.discard(name)
        return self._hand(name, self.in_flight.bound(name) or self._next(gpus))

    def reported(
        self, name: str, report: dict[str, Any]
    ) -> Job | Literal["go on", "stop", "pruned"]:
        """A worker has finished a slice; its next job, or what is to become of this one."""
        job = self.in_flight.at(name)
        if job is None:
            return self._hand(name, self._next(self.shares[name])) or "stop"
        for watcher in self.watchers:
            watcher.working(job, report)
            if report["epochs"]:
                watcher.reported(job, report["epochs"])
        if report["ended"]:
            self.lost_in_a_row = 0
            self._returned(job, report["status"], report)
            return self._hand(name, self._next(self.shares[name])) or "stop"
        if job.prunable and self.pruner.should_stop(job.training.training_id, report["curve"]):
            return "pruned"
        return "go on"

    def lost(self, name: str, loss: Loss, error: Exception | None) -> None:
        """The worker is gone, or could not go on."""
        job = self.in_flight.at(name)
        self.claims.discard(name)
        self.in_flight.leave(name)
        if isinstance(error, StudyError):  # the lease keeps the job: the next run accounts for it
            self.stop("trouble", error)
            return
        status = stored_status(job, self.store) if job else None
        self._count_loss(loss, has_row=status is not None)
        if job is None:
            return
        if status is None:
            status, wall_s = loss.status, self.in_flight.held_s(job)
            write_lost(job, study=self.study, store=self.store, loss=loss, wall_s=wall_s)
        self._returned(job, status, {})

    def _count_loss(self, loss: Loss, *, has_row: bool) -> None:
        """Stop if workers only go and leave nothing; one that left its row did its work."""
        self.lost_in_a_row = 0 if has_row else self.lost_in_a_row + 1
        if self.lost_in_a_row >= LOST_IN_A_ROW:
            rule = f"workers must come back with a result, got {LOST_IN_A_ROW} losses in a row"
            self.stop("trouble", StudyError(f"{rule}, the last: {loss.text}"))

    @property
    def slice_s(self) -> float:
        """How long a worker trains between two reports."""
        return max(SLICE_S, len(self.in_flight) / REPORTS_PER_S)

    def to_stop(self) -> list[str]:
        """Slots at work that are yet to be told that the run stops."""
        names = sorted({*self.in_flight.at_work()} - self.told_to_stop) if self.reason else []
        self.told_to_stop.update(names)
        return names

    def must_end(self) -> bool:
        """Whether Tune is to end now, whatever still runs."""
        if not self.reason and self.lease.trouble is not None:
            self.stop("trouble", self.lease.trouble)
        if not self.reason and self.deadline is not None and time.monotonic() > self.deadline:
            self.stop("time budget")
        if self.reason:
            return not self.in_flight.at_work() or time.monotonic() > self.stop_by
        try:
            return self.ledger.is_done()
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
        for slot in self.in_flight.at_work():
            job = self.in_flight.at(slot)
            if job is not None and stored_status(job, self.store):
                self.in_flight.returned(job)

    def stop(self, reason: str, trouble: StudyError | None = None) -> None:
        """Hand out nothing more, and end when the workers have written their checkpoints."""
        if not self.reason:
            self.reason, self.trouble = reason, trouble
            self.stop_by = time.monotonic() + self.slice_s + STOP_S

    def _next(self, gpus: float) -> Job | None:
        """A job for a slot of this share; others that come up meanwhile wait for their own."""
        while (job := self.in_flight.waiting(gpus)) is None and not self.reason:
            if gpus != self.study.resources.gpus or not self.ledger.ready():
                return None
            if not isinstance(self.ledger.next_job(), Job):
                return None
        return job

    def _hand(self, name: str, job: Job | None) -> Job | None:
        if job is not None:
            self.in_flight.begin(job, name)
            for watcher in self.watchers:
                watcher.began(job)
        return job

    def _returned(self, job: Job, status: End, report: dict[str, Any]) -> None:
        self.ended += 1
        self.ledger.returned(job, status=status, report=report)
        for watcher in self.watchers:
            watcher.ended(job, status, report)
