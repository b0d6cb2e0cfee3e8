"""Training runs that are scripted: faults by point, instant epochs."""

import os
import time
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from search.study.study import Study
from search.study.training import Job
from stacnet.protocol import EpochResult
from stacnet.train import Diverged


class Scripted:
    """A training run whose accuracy after epoch e is `top * e / epochs`."""

    def __init__(self, *, epochs: int, top: float, epoch_s: float = 0.0) -> None:
        self.results: list[EpochResult] = []
        self.evaluated_model = torch.nn.Linear(1, 1)
        self._epochs, self._top, self._epoch_s = epochs, top, epoch_s

    @property
    def done(self) -> bool:
        """Whether all epochs are over."""
        return len(self.results) == self._epochs

    def run(self, *, budget_s: float) -> EpochResult | None:
        """One epoch."""
        time.sleep(self._epoch_s)
        epoch = len(self.results) + 1
        accuracy = self._top * epoch / self._epochs
        shape = {"train_loss": 1.0, "train_acc": accuracy, "val_loss": 1.0, "lr": 0.1}
        self.results.append(
            EpochResult(
                epoch=epoch,
                val_acc=accuracy,
                train_s=self._epoch_s,
                eval_s=0.0,
                cum_s=self._epoch_s * epoch,
                resumed=False,
                **shape,
            )
        )
        return self.results[-1]

    def evaluate(self, split: Literal["train", "val", "test"]) -> tuple[float, NDArray[np.bool_]]:
        """The same on every split, of 1,000 images."""
        return 1.0, np.arange(1000) < round(1000 * self.results[-1].val_acc)

    def latency_s(self) -> float:
        """Of no network."""
        return 1e-3

    def state_dict(self) -> dict[str, Any]:
        """The number of epochs."""
        return {"epochs": len(self.results)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Run them again, at once."""
        pause, self._epoch_s = self._epoch_s, 0.0
        while len(self.results) < state["epochs"]:
            self.run(budget_s=0.0)
        self._epoch_s = pause


def smooth(job: Job, study: Study) -> Scripted:
    """Accuracy grows with the point's index."""
    top = (job.training.point or 0) / study.space.size()
    return Scripted(epochs=study.protocol.epochs, top=top)


def faulty(job: Job, study: Study) -> Scripted:
    """Point 1 raises, 2 diverges, 3 runs out of memory, 4 kills its process."""
    match job.training.point:
        case 1:
            raise RuntimeError("a bug in a layer")
        case 2:
            raise Diverged("the training loss must stay finite, got nan")
        case 3:
            raise MemoryError("no memory left")
        case 4:
            os._exit(1)
    return Scripted(epochs=study.protocol.epochs, top=0.5)


def misfit(job: Job, study: Study) -> Scripted:
    """Data and network do not fit: a fault of the study, not of a training."""
    raise ValueError("classes must be those of the data, got classes=4 for 10")
