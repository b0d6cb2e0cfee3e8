"""The driver's desk: what Ray Tune asks and tells goes to the ledger, and back; free of Ray."""

import time
from dataclasses import dataclass, field
from typing import Any, Protocol

from search.cells import Job
from search.errors import StudyError
from search.lease import Lease
from search.ledger import Ledger
from search.losses import LOST_IN_A_ROW, Loss, stored_status, write_lost
from search.pruner import Pruner
from search.store import Store
from search.study import Study

STOP_S = 12.0  # then Tune ends its workers, which takes it up to 15 s; 30 s were promised


class Watcher(Protocol):
    """Somebody who looks on: the progress bar, a logger."""

    def ended(self, job: Job, status: str, report: dict[str, Any]) -> None: ...
    def tick(self, running: int) -> None: ...


@dataclass(kw_only=True)
class Desk:
    """State of a run, and the answers to Ray Tune's questions.

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
    jobs: dict[str, Job] = field(default_factory=dict)  # by the name Tune knows them under
    running: set[str] = field(default_factory=set)
    told_to_stop: set[str] = field(default_factory=set)
    lost_in_a_row: int = 0
    ended: int = 0

    def owes(self) -> bool:
        """Whether there is a job to hand out."""
        job = self.ledger.next_job()
        if isinstance(job, Job):
            self.ledger.withdrawn(job)
        return isinstance(job, Job)

    def next_job(self, name: str) -> Job | str:
        """A job for Tune's trial `name`, `wait`, or `done`."""
        if self.reason:
            return "done"
        job = self.ledger.next_job()
        if isinstance(job, Job):
            self.jobs[name] = job
        return job

    def started(self, name: str) -> None:
        """A worker has the job."""
        job = self.jobs[name]
        self.running.add(name)
        self.lease.started(job.cell.cell_id, job.to_json())

    def reported(self, name: str, report: dict[str, Any]) -> str | None:
        """A worker has finished a slice; a status if it shall end the cell with that."""
        job = self.jobs[name]
        if report["done"]:
            self.lost_in_a_row = 0
            self._returned(name, report["status"], report)
            return None
        if job.prunable and self.pruner.should_stop(job.cell.cell_id, report["curve"]):
            return "pruned"
        return None

    def lost(self, name: str, loss: Loss, error: Exception | None) -> None:
        """The worker is gone, or could not go on."""
        if name not in self.jobs:  # ended already; what became of the worker then is no matter
            return
        if isinstance(error, StudyError):  # the lease keeps the job: the next run accounts for it
            self.running.discard(name)
            self.stop("trouble", error)
            return
        job = self.jobs[name]
        self.lost_in_a_row += 1
        if self.lost_in_a_row >= LOST_IN_A_ROW:
            rule = f"workers must come back with a result, got {LOST_IN_A_ROW} losses in a row"
            self.stop("trouble", StudyError(f"{rule}, the last: {loss.text}"))
        status = stored_status(job, self.store)
        if status is None:
            status, wall_s = loss.status, self.lease.held_s(job.cell.cell_id)
            write_lost(job, study=self.study, store=self.store, loss=loss, wall_s=wall_s)
        self._returned(name, status, {})

    def to_stop(self) -> list[str]:
        """Running jobs that are yet to be told that the run stops."""
        names = sorted(self.running - self.told_to_stop) if self.reason else []
        self.told_to_stop.update(names)
        return names

    def must_end(self) -> bool:
        """Whether Tune is to end now, whatever still runs."""
        if not self.reason and self.lease.trouble is not None:
            self.stop("trouble", self.lease.trouble)
        if not self.reason and self.deadline is not None and time.monotonic() > self.deadline:
            self.stop("time budget")
        return bool(self.reason) and (not self.running or time.monotonic() > self.stop_by)

    def settle(self) -> None:
        """After Tune's end: jobs that were cut short but left their row are off the lease."""
        for job in self.jobs.values():
            if self.lease.held_s(job.cell.cell_id) and stored_status(job, self.store):
                self.lease.ended(job.cell.cell_id)

    def stop(self, reason: str, trouble: StudyError | None = None) -> None:
        """Hand out nothing more, and end when the workers have written their checkpoints."""
        if not self.reason:
            self.reason, self.trouble = reason, trouble
            self.stop_by = time.monotonic() + STOP_S

    def _returned(self, name: str, status: str, report: dict[str, Any]) -> None:
        job = self.jobs.pop(name)
        self.running.discard(name)
        self.ended += 1
        self.lease.ended(job.cell.cell_id)
        self.ledger.returned(job, status=status, report=report)
        for watcher in self.watchers:
            watcher.ended(job, status, report)
