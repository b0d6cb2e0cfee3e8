"""On the worker: trains one job after the other, driven by Ray's actor or in this process."""

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from search.errors import StudyError
from search.store.store import Store
from search.study.ends import End
from search.study.study import Study
from search.study.training import Job

if TYPE_CHECKING:  # they import torch, which the driver does not need
    from search.drive.attempt import Attempt, TrainerLike

MakeTrainer = Callable[[Job, Study], "TrainerLike"]


def make_trainer(job: Job, study: Study) -> "TrainerLike":
    """The training run of a job; the data is kept for the next one."""
    from stacnet.data.images import load
    from stacnet.train import Trainer

    return Trainer(
        job.training.spec,
        study.protocol,
        load(study.protocol.data),
        seed=job.training.seed,
        device="cuda" if job.gpus else "cpu",
        threads=study.resources.cpus,
    )


class Worker:
    """What works in a slot; rows are written here.

    Args:
        store: address of the study.
        make_trainer: gives the training run of a job.
    """

    def __init__(self, store: str, make_trainer: MakeTrainer) -> None:
        self._store_address, self._make_trainer = store, make_trainer
        self._job_text: str | None = None
        self._attempt: Attempt | None = None
        self._trouble: StudyError | None = None

    def take(self, job: str, slice_s: float) -> None:
        """The next job, and how long to train between two reports.

        It is opened in `step`, where an error is heard.
        """
        self._job_text, self._slice_s, self._attempt = job, slice_s, None

    def step(self) -> dict[str, Any]:
        """Train for a slice of some seconds; how far the attempt is, or nothing without a job."""
        if self._trouble is not None:
            raise self._trouble
        return self._current().advance(self._slice_s) if self._job_text else {}

    def stop(self, status: End, why: Exception | None = None) -> None:
        """End the attempt as `pruned` or `preempted`, and why; the next step reports it."""
        try:
            if self._job_text:
                self._current().stop(status, why)
        except StudyError as error:  # nobody waits for this call: the next step raises it
            self._trouble = error

    def close(self) -> None:
        """The process is about to go: an unfinished attempt keeps its checkpoint."""
        if self._attempt is not None:
            self.stop("preempted")

    def _current(self) -> "Attempt":
        from search.drive.attempt import Attempt
        from search.drive.machine import cap_gpu_memory

        if self._attempt is None:
            assert self._job_text is not None
            job = Job.from_json(self._job_text)
            store, study = _opened(self._store_address)
            cap_gpu_memory(job.gpus)
            self._attempt = Attempt(
                job, store=store, study=study, make_trainer=lambda: self._make_trainer(job, study)
            )
        return self._attempt


@lru_cache(maxsize=2)
def _opened(address: str) -> tuple[Store, Study]:
    store = Store(address)
    return store, store.study()
