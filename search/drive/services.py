"""The services that loggers write to, each through its own client, imported when asked for."""

import os
import shutil
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.store.store import Store
from search.study.ends import ENDS, FINAL, End
from stacnet.ids import short_hash

if TYPE_CHECKING:
    from search.drive.loggers import Metrics, Run

FOLDER = "tensorboard"
REACH_S = 10  # to wait for a service before a search begins


class TensorBoard:
    """Event files in the store's folder, a run in each of its folders: `tensorboard --logdir`.

    In an object store the files of a run appear when it ends.
    """

    def __init__(self, store: Store) -> None:
        from tensorboardX import SummaryWriter

        self._make, self._storage = SummaryWriter, store.storage
        self._writers: dict[str, Any] = {}
        self._steps: dict[str, int] = {}
        if store.storage.is_local:
            self._folder = Path(store.address) / FOLDER
            self._folder.mkdir(parents=True, exist_ok=True)
        else:
            self._folder = Path(tempfile.mkdtemp(prefix="stac-tensorboard-"))

    def begin(self, run: "Run") -> None:
        """The file is begun with the first epoch."""

    def log(self, run: "Run", epoch: int, metrics: "Metrics") -> None:
        """A step. The first of a resumed run hides those that the run has from there on."""
        writer = self._writers.get(run.training_id)
        if writer is None:
            place = str(self._folder / run.name)
            suffix = f".{time.time_ns()}"  # a second file of the same second is another one
            writer = self._make(place, purge_step=epoch, flush_secs=10, filename_suffix=suffix)
            self._writers[run.training_id] = writer
        for tag, value in metrics.items():
            writer.add_scalar(tag, value, epoch)
        self._steps[run.training_id] = epoch

    def end(self, run: "Run", status: End, metrics: "Metrics") -> None:
        """The last figures beside the factors, for its page of hyperparameters."""
        from tensorboardX.summary import hparams

        writer = self._writers.pop(run.training_id, None)
        if writer is None:
            return
        step = self._steps.pop(run.training_id)
        if status in FINAL:
            for part in hparams({name: str(value) for name, value in run.factors.items()}, {})[1:]:
                writer.file_writer.add_summary(part, step)
            for tag, value in metrics.items():
                writer.add_scalar(tag, value, step)
        writer.close()
        self._send(self._folder / run.name)

    def close(self) -> None:
        """End what is open."""
        for writer in self._writers.values():
            writer.close()
        for folder in self._folder.iterdir():
            self._send(folder)
        if not self._storage.is_local:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _send(self, folder: Path) -> None:
        for events in () if self._storage.is_local else sorted(folder.iterdir()):
            self._storage.upload(f"{FOLDER}/{folder.name}/{events.name}", events)
            events.unlink()


class MLflow:
    """Runs of an experiment; its environment variables say where (`MLFLOW_TRACKING_URI`)."""

    def __init__(self, store: Store, *, project: str) -> None:
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")  # of 7: minutes
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(REACH_S))
        self._address, self._mlflow = store.address, import_module("mlflow")
        self._client = self._mlflow.MlflowClient()
        found = self._client.get_experiment_by_name(project)
        self._experiment = found.experiment_id if found else self._client.create_experiment(project)
        self._runs: dict[str, str] = {}
        self._steps: dict[str, int] = {}

    def begin(self, run: "Run") -> None:
        """Find the run by its tag, or make it."""
        tag = _identity(self._address, run.training_id)
        found = self._client.search_runs(
            [self._experiment], f"tags.`stacnet.run` = '{tag}'", max_results=1
        )
        if found:
            self._runs[run.training_id] = name = found[0].info.run_id
            self._client.update_run(name, status="RUNNING")
            history = self._client.get_metric_history(name, "val/acc")
            self._steps[run.training_id] = max((point.step for point in history), default=0)
            return
        made = self._client.create_run(
            self._experiment,
            run_name=run.name,
            tags={"stacnet.run": tag, "training": run.training_id},
        )
        self._runs[run.training_id], self._steps[run.training_id] = made.info.run_id, 0
        for name, value in run.factors.items():
            self._client.log_param(made.info.run_id, name, value)

    def log(self, run: "Run", epoch: int, metrics: "Metrics") -> None:
        """A step, if it is new."""
        if epoch > self._steps[run.training_id]:
            self._steps[run.training_id] = epoch
            self._send(run, epoch, metrics)

    def end(self, run: "Run", status: End, metrics: "Metrics") -> None:
        """Its last figures; `FINISHED` also if pruned, `KILLED` if it will go on."""
        self._send(run, self._steps.pop(run.training_id), metrics)
        meaning = ENDS[status]
        state = "FAILED" if meaning.is_fault else "FINISHED" if meaning.is_final else "KILLED"
        self._client.set_terminated(self._runs.pop(run.training_id), state)

    def close(self) -> None:
        """End what is open."""
        for name in self._runs.values():
            self._client.set_terminated(name, "KILLED")

    def _send(self, run: "Run", epoch: int, metrics: "Metrics") -> None:
        at = int(1000 * time.time())
        points = [self._mlflow.entities.Metric(t, v, at, epoch) for t, v in metrics.items()]
        self._client.log_batch(self._runs[run.training_id], metrics=points)


class WandB:
    """Runs of a project; its environment variables say where and how (`WANDB_MODE`)."""

    def __init__(self, store: Store, *, project: str) -> None:
        self._address, self._project, self._wandb = store.address, project, import_module("wandb")
        self._runs: dict[str, Any] = {}
        if os.environ.get("WANDB_MODE", "online") == "online":
            self._wandb.login(verify=True, timeout=REACH_S)

    def begin(self, run: "Run") -> None:
        """The run of that id, which goes on if the server has it."""
        self._runs[run.training_id] = self._wandb.init(
            project=self._project,
            id=_identity(self._address, run.training_id),
            name=run.name,
            config=run.factors,
            resume="allow",
            reinit="create_new",
            settings=self._wandb.Settings(console="off", silent=True),
        )

    def log(self, run: "Run", epoch: int, metrics: "Metrics") -> None:
        """A step, if it is new."""
        if epoch >= self._runs[run.training_id].step:
            self._runs[run.training_id].log(metrics, step=epoch)

    def end(self, run: "Run", status: End, metrics: "Metrics") -> None:
        """Its last figures go to the summary."""
        ended = self._runs.pop(run.training_id)
        ended.summary.update(metrics | {"status": status})
        ended.finish(exit_code=0 if status in FINAL else 1)

    def close(self) -> None:
        """End what is open."""
        for run in self._runs.values():
            run.finish(exit_code=1)


def _identity(address: str, training_id: str) -> str:
    """16 hex digits: a training of this store, whoever logs it."""
    return short_hash(f"{address} {training_id}")
