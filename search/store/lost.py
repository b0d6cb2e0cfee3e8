"""Attempts that left no row because their worker is gone: whose fault it was, and what it cost."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from search.store.checkpoints import Checkpoints
from search.store.history import read_history
from search.store.lease import Beat, Lease
from search.store.rows import Effort, Row, now, training_row
from search.store.store import Store
from search.study.ends import End
from search.study.study import Study
from search.study.training import Job

Cause = Literal["crash", "memory", "node", "start", "driver"]
STATUS_OF: dict[Cause, End] = {
    "crash": "failed",
    "memory": "oom",
    "node": "preempted",
    "start": "preempted",
    "driver": "preempted",
}
LOST_IN_A_ROW = 10  # so many attempts lost with none between them that ended: the run stops


@dataclass(frozen=True, kw_only=True)
class Loss:
    """Why a worker did not come back.

    Args:
        cause: `crash` of the process, `memory` of the machine ran out, `node` is gone, the worker
            could not `start`, `driver` was lost.
        text: what Ray said.
        ended: when the worker was last heard of; None for now.
    """

    cause: Cause
    text: str
    ended: datetime | None = None

    @property
    def status(self) -> End:
        """A crash counts against the training; what befell the machine under it does not."""
        return STATUS_OF[self.cause]


def write_lost(
    job: Job,
    *,
    study: Study,
    store: Store,
    loss: Loss,
    wall_s: float,
) -> None:
    """Store the row of an attempt that can no longer do it; what no checkpoint saved is wasted."""
    saved_s = Checkpoints(store.storage, job.training.training_id).spent_s(job.attempt)
    ended = loss.ended or now()
    effort = Effort(
        started_at=ended - timedelta(seconds=wall_s),
        ended_at=ended,
        wall_s=wall_s,
        wasted_s=max(wall_s - saved_s, 0.0),
        fraction=study.resources.devices(job.gpus),
    )
    facts: Row = {"error_type": loss.cause, "error_text": loss.text[:500]}
    row = training_row(job, study, status=loss.status, effort=effort, facts=facts)
    store.write_attempt(job, row, [], lost=True)


def stored_status(job: Job, store: Store) -> End | None:
    """Status in the attempt's own file; None if there is no whole one."""
    return store.attempt_status(job)


def account_for(lease: Lease, *, study: Study, store: Store) -> None:
    """Write rows for what earlier drivers had begun when they were lost."""
    lost = list(_lost(lease.previous))
    known = read_history(store, study).attempts if lost else set()
    for beat, job, wall_s in lost:
        if (job.training.key, job.attempt, job.lease) not in known:
            loss = Loss(
                cause="driver",
                text=f"driver on {beat.hostname}, pid {beat.pid}",
                ended=datetime.fromisoformat(beat.beat_at),
            )
            write_lost(job, study=study, store=store, loss=loss, wall_s=wall_s)
    if lease.previous is not None:
        lease.settled()


def _lost(beat: Beat | None) -> Iterator[tuple[Beat, Job, float]]:
    """What a driver had begun, and those before it for which it did not account; with seconds."""
    while beat is not None:
        for running in beat.running.values():
            yield beat, Job.from_json(running.job), max(beat.life_s - running.since_s, 0.0)
        beat = beat.previous
