"""On the worker: a slot of Ray Tune, an actor in which a `Worker` works."""

from contextlib import suppress
from typing import Any

from ray import tune

from search.drive import private
from search.drive.notice import GOES_IN_S, MachineLeaves, notice
from search.drive.worker import Worker
from search.study.ends import End


class Slot(tune.Trainable):
    """Passes on to its worker what the driver says.

    Its config has the `store`, the resources (`cpus`, `gpus`) and `make_trainer`.
    """

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> tune.PlacementGroupFactory:
        """CPU cores and share of a GPU."""
        needs = {"CPU": config["cpus"]} | ({"GPU": config["gpus"]} if config["gpus"] else {})
        return tune.PlacementGroupFactory([needs])

    def setup(self, config: dict[str, Any]) -> None:
        """Wait for the first job."""
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Wait for the next one, perhaps of another study."""
        self._worker = Worker(new_config["store"], new_config["make_trainer"])
        return True

    def take(self, job: str, slice_s: float) -> None:
        """The next job, and how long to train between two reports."""
        self._worker.take(job, slice_s)

    def step(self) -> dict[str, Any]:
        """Train for a slice of some seconds.

        Raises:
            MachineLeaves: the cloud takes this machine; a checkpoint is written.
        """
        text = notice().read()
        if text is not None:
            leaves = MachineLeaves(text)
            self._worker.stop("preempted", leaves)
            with suppress(Exception):  # the machine goes, whether Ray hears of it or not
                private.drain_this_node(text, seconds=GOES_IN_S)
            raise leaves
        return self._worker.step()

    def stop_training(self, status: End) -> None:
        """End the attempt as `pruned` or `preempted`; the next step reports it."""
        self._worker.stop(status)

    def cleanup(self) -> None:
        """The actor is about to go."""
        self._worker.close()
