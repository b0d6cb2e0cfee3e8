"""A slot of Ray Tune: an actor that trains one training after the other."""

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ray import tune

from search.errors import StudyError
from search.store.store import Store
from search.study.ends import End
from search.study.study import Study
from search.study.training import Job

if TYPE_CHECKING:  # they import torch, which the driver does not need
    from search.drive.attempt import Attempt, TrainerLike


class Slot(tune.Trainable):
    """Trains the trainings that it is given, one after the other; rows are written here.

    A subclass may give another training run with `make_trainer`.
    """

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> tune.PlacementGroupFactory:
        """CPU cores and share of a GPU."""
        needs = {"CPU": config["cpus"]} | ({"GPU": config["gpus"]} if config["gpus"] else {})
        return tune.PlacementGroupFactory([needs])

    def setup(self, config: dict[str, Any]) -> None:
        """Wait for the first training."""
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Wait for the next one, perhaps of another study."""
        self._store_address = new_config["store"]
        self._job_text: str | None = None
        self._run: Attempt | None = None
        self._trouble: StudyError | None = None
        return True

    def take(self, job: str, slice_s: float) -> None:
        """The next training, and how long to train between two reports.

        It is opened in `step`, where an error is heard.
        """
        self._job_text, self._slice_s, self._run = job, slice_s, None

    def step(self) -> dict[str, Any]:
        """Train for a slice of some seconds."""
        if self._trouble is not None:
            raise self._trouble
        return self._current().advance(self._slice_s) if self._job_text else {}

    def stop_training(self, status: End) -> None:
        """End the training as `pruned` or `preempted`; the next step reports it."""
        try:
            if self._job_text:
                self._current().stop(status)
        except StudyError as error:  # nobody waits for this call: the next step raises it
            self._trouble = error

    def make_trainer(self, job: Job, study: Study) -> "TrainerLike":
        """The training run of a training."""
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

    def cleanup(self) -> None:
        """The actor is about to go: an unfinished training keeps its checkpoint."""
        if self._run is not None:
            self.stop_training("preempted")

    def _current(self) -> "Attempt":
        from search.drive.attempt import Attempt
        from search.drive.machine import cap_gpu_memory

        if self._run is None:
            assert self._job_text is not None
            job = Job.from_json(self._job_text)
            store, study = _opened(self._store_address)
            cap_gpu_memory(job.gpus)
            self._run = Attempt(
                job, store=store, study=study, make_trainer=lambda: self.make_trainer(job, study)
            )
        return self._run


@lru_cache(maxsize=2)
def _opened(address: str) -> tuple[Store, Study]:
    store = Store(address)
    return store, store.study()
