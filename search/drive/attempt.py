"""On the worker: one attempt at a training, in slices, with checkpoints, that leaves one row."""

import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from search.drive.machine import PeakMemory, device_name, hostname
from search.errors import StudyError
from search.store.checkpoints import Checkpoints
from search.store.lease import assert_held
from search.store.rows import Effort, Row, epoch_rows, now, training_row
from search.store.store import Store
from search.study.ends import ENDS, End
from search.study.metrics import METRICS
from search.study.study import Study
from search.study.training import Job
from stacnet.checkpoint import dumps
from stacnet.cost import price
from stacnet.protocol import EpochResult
from stacnet.train import Diverged

CHECKPOINT_EVERY_S = 30.0
STATIC = ("params", "params_effective", "macs", "activations")


class TrainerLike(Protocol):
    """What an attempt needs of a training run; `stacnet.train.Trainer` is one."""

    results: list[EpochResult]

    @property
    def evaluated_model(self) -> torch.nn.Module: ...
    @property
    def done(self) -> bool: ...
    def run(self, *, budget_s: float) -> EpochResult | None: ...
    def evaluate(
        self, split: Literal["train", "val", "test"]
    ) -> tuple[float, NDArray[np.bool_]]: ...
    def latency_s(self) -> float: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class Attempt:
    """An attempt at a training, in the process that trains it.

    Whatever goes wrong with the network becomes a row; what is wrong with the study is raised.
    Before it begins and before it writes, it looks whether the study is still driven by the one
    that gave it the job.

    Args:
        job: the attempt.
        store, study: where it belongs.
        make_trainer: gives the training run; called once, so that what it raises is recorded.
    """

    def __init__(
        self, job: Job, *, store: Store, study: Study, make_trainer: Callable[[], TrainerLike]
    ) -> None:
        self.job = job
        self.status: End | None = None
        self._store, self._study, self._make_trainer = store, study, make_trainer
        self._checkpoints = Checkpoints(store.storage, job.training.training_id)
        self._started_at, self._begin = now(), time.monotonic()
        self._has_raised = False
        self._saved_s = 0.0
        self._wait_s: float | None = None
        self._memory = PeakMemory(on_gpu=job.gpus > 0)
        self._trainer: TrainerLike | None = None
        self._best: dict[str, float] = {}
        self._values: dict[str, float] = {}
        self._results: list[EpochResult] = []
        self._num_reported = 0

    def advance(self, slice_s: float) -> dict[str, Any]:
        """Train for about `slice_s` seconds, or to the next epoch if a scheduler wants to look.

        Returns:
            `report()`.

        Raises:
            StudyError: the store cannot be written, the lease is another driver's, or network
                and data do not fit, which would be so for every training.
        """
        if self.status is not None:  # it was stopped meanwhile
            return self.report()
        try:
            self._advance(slice_s)
        except StudyError:
            self._has_raised = True  # no row: the next run accounts for it as a lost attempt
            raise
        except Diverged as error:
            self._end("diverged", error)
        except (torch.OutOfMemoryError, MemoryError) as error:
            self._end("oom", error)
        except Exception as error:  # any fault of a network is a row, and the search goes on
            self._end("failed", error)
        return self.report()

    def stop(self, status: End, why: Exception | None = None) -> None:
        """End early as `pruned` or `preempted`, with a checkpoint; the row says why, if told."""
        if self.status is None and not self._has_raised:
            if self._trainer is not None:
                self._save()
            self._end(status, why)

    def report(self) -> dict[str, Any]:
        """How far it is: ended, status (then), values by metric, curve of validation accuracies.

        `epochs` are those that no report has had before, `machine` its host and device.
        """
        curve = [result.val_acc for result in self._results]
        fresh, self._num_reported = self._results[self._num_reported :], len(curve)
        return {
            "ended": self.status is not None,
            "status": self.status,
            "epoch": len(curve),
            "values": self._values,
            "curve": curve,
            "epochs": [asdict(result) for result in fresh],
            "machine": (hostname(), device_name(on_gpu=self.job.gpus > 0)),
        }

    def _advance(self, slice_s: float) -> None:
        deadline = time.monotonic() + slice_s
        if self._trainer is None:
            self._trainer = self._set_up()
        trainer = self._trainer
        while not trainer.done:
            result = trainer.run(budget_s=max(deadline - time.monotonic(), 0.0))
            if result is not None:
                self._note(result)
            if self._spent_s() - self._saved_s > CHECKPOINT_EVERY_S and not trainer.done:
                self._save()
            if (result and self.job.prunable) or time.monotonic() >= deadline:
                break
        if trainer.done:
            self._end("complete", None)

    def _set_up(self) -> TrainerLike:
        self._assert_driven()
        try:
            trainer = self._make_trainer()
        except ValueError as error:
            raise StudyError(str(error)) from error
        state = self._checkpoints.latest()
        if state is not None:
            trainer.load_state_dict(state["trainer"])
            self._best, self._results = state["best"], list(trainer.results)
        self._wait_s = self._spent_s()
        return trainer

    def _note(self, result: EpochResult) -> None:
        assert self._trainer is not None
        self._results.append(result)
        if not self._best or result.val_acc > self._best["val_acc"]:
            test_acc = float(self._trainer.evaluate("test")[1].mean())
            self._best = {"epoch": result.epoch, "val_acc": result.val_acc, "test_acc": test_acc}

    def _save(self) -> None:
        assert self._trainer is not None
        self._assert_driven()
        spent = self._spent_s()
        state = {"trainer": self._trainer.state_dict(), "best": self._best}
        self._checkpoints.save(state, attempt=self.job.attempt, spent_s=spent)
        self._saved_s = spent

    def _assert_driven(self) -> None:
        if self.job.lease:
            assert_held(self._store.storage, self.job.lease)

    def _end(self, status: End, error: Exception | None) -> None:
        facts = self._result_columns(status) | _error_columns(error) | self._static()
        self._values = {
            metric: facts[column]
            for metric, column in METRICS.items()
            if facts.get(column) is not None
        }
        self._assert_driven()
        if status == "complete" and self._keeps_weights and self._trainer:
            weights = dumps(self._trainer.evaluated_model.state_dict())
            self._store.write_weights(self.job.training.training_id, weights)
        effort = self._effort(wasted=not ENDS[status].is_final)
        row = training_row(self.job, self._study, status=status, effort=effort, facts=facts)
        self._store.write_attempt(self.job, row, epoch_rows(self.job, self._results))
        if not ENDS[status].keeps_checkpoint:
            self._checkpoints.clear()
        self.status, self._trainer = status, None

    @property
    def _keeps_weights(self) -> bool:
        training = self.job.training
        return training.spec == training.spec.vanilla or training.suggested_by.startswith(
            "finalist"
        )

    def _static(self) -> Row:
        counted = price(self.job.training.spec)
        return {name: getattr(counted, name) for name in STATIC}

    def _result_columns(self, status: End) -> Row:
        results = self._results
        columns: Row = {
            "epochs": len(results),
            "train_s": sum(result.train_s for result in results),
            "eval_s": sum(result.eval_s for result in results),
        }
        if results:
            columns |= {"val_acc_last": results[-1].val_acc, "val_loss_last": results[-1].val_loss}
        if self._best:
            columns["best_val_epoch"] = int(self._best["epoch"])
            columns["test_acc_at_best_val"] = self._best["test_acc"]
        if status == "complete" and self._trainer is not None:
            loss, correct_N = self._trainer.evaluate("test")
            columns |= {"test_loss_last": loss, "test_acc_last": float(correct_N.mean())}
            columns["test_correct"] = np.packbits(correct_N).tobytes()
            columns["latency_s"] = self._trainer.latency_s()
        return columns

    def _effort(self, *, wasted: bool) -> Effort:
        spent = self._spent_s()
        return Effort(
            started_at=self._started_at,
            ended_at=now(),
            wall_s=spent,
            wait_s=self._wait_s,
            wasted_s=spent - self._saved_s if wasted else 0.0,
            fraction=self._study.resources.devices(self.job.gpus),
            peak_mem_bytes=self._memory.peak_bytes(),
            device_name=device_name(on_gpu=self.job.gpus > 0),
            hostname=hostname(),
        )

    def _spent_s(self) -> float:
        return time.monotonic() - self._begin


def _error_columns(error: Exception | None) -> Row:
    if error is None:
        return {}
    text = str(error).strip() or traceback.format_exception_only(error)[-1].strip()
    return {"error_type": type(error).__name__, "error_text": text.splitlines()[-1][:500]}
