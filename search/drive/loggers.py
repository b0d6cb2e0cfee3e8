"""Watchers that log each training to TensorBoard, MLflow or Weights & Biases; off by default."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any, Literal, Protocol, get_args

from search.drive.watcher import Watcher
from search.errors import StudyError
from search.sampling.export import OFF, shown, shown_columns
from search.store.rows import network_columns
from search.store.store import Store
from search.study.ends import End
from search.study.study import Study
from search.study.training import Job
from stacnet.spec import NetworkSpec

LoggerName = Literal["tensorboard", "mlflow", "wandb"]
Metrics = dict[str, float]

CLOSE_S = 10.0  # how long a search that ends waits for a slow service
TAGS = {
    "val_acc": "val/acc",
    "val_loss": "val/loss",
    "train_acc": "train/acc",
    "train_loss": "train/loss",
    "lr": "lr",
}


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training as a service shows it; a resumed one is the same run.

    Args:
        training_id: of the training.
        name: in words, such as `s1=4 s2=off s3=native seed0 (a1b2c3d4)`.
        factors: what tells it from the study's other trainings, as stored.
    """

    training_id: str
    name: str
    factors: dict[str, int | str]


class Service(Protocol):
    """Where runs are logged. Its methods are called one after the other, in a thread of its own.

    An epoch that the run has already is not logged twice.
    """

    def begin(self, run: Run) -> None: ...
    def log(self, run: Run, epoch: int, metrics: Metrics) -> None: ...
    def end(self, run: Run, status: End, metrics: Metrics) -> None: ...
    def close(self) -> None: ...


class Logger(Watcher):
    """Hands on what happens to a service, whose fault or slowness never holds up the search."""

    def __init__(self, name: str, service: Service, study: Study) -> None:
        self._name, self._service = name, service
        self._columns = shown_columns(study.space)
        self._todo: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = Thread(target=self._work, name=f"logger {name}", daemon=True)
        self._thread.start()

    def began(self, job: Job) -> None:
        """A run begins, or goes on."""
        self._do(partial(self._service.begin, self._run(job)))

    def reported(self, job: Job, epochs: list[dict[str, Any]]) -> None:
        """Epochs, each a step."""
        run = self._run(job)
        for row in epochs:
            metrics = {tag: row[name] for name, tag in TAGS.items() if row.get(name) is not None}
            self._do(partial(self._service.log, run, row["epoch"], metrics))

    def ended(self, job: Job, status: End, report: dict[str, Any]) -> None:
        """The run is over, with its last figures."""
        metrics = {f"final/{name}": value for name, value in report.get("values", {}).items()}
        self._do(partial(self._service.end, self._run(job), status, metrics))

    def close(self) -> None:
        """What is still on its way is sent, if that is quick."""
        self._do(self._service.close)
        self._todo.put(None)
        self._thread.join(CLOSE_S)
        if self._thread.is_alive():
            self._warn(f"is still busy after {CLOSE_S:.0f} s, what it has not sent is lost")

    def _do(self, step: Callable[[], None]) -> None:
        if self._thread.is_alive():
            self._todo.put(step)

    def _work(self) -> None:
        try:
            while (step := self._todo.get()) is not None:
                step()
        except Exception as error:
            self._warn(f"failed, the search goes on without it: {one_line(error)}")

    def _warn(self, text: str) -> None:
        print(f"stac: logger {self._name} {text}", file=sys.stderr, flush=True)

    def _run(self, job: Job) -> Run:
        training = job.training
        factors = shown(network_columns(training.spec), self._columns) | {"seed": training.seed}
        return Run(
            training_id=training.training_id,
            name=run_name(training.spec, training.seed),
            factors=factors,
        )


def run_name(spec: NetworkSpec, seed: int) -> str:
    """A training in words; the hash tells networks apart that differ in more than scales."""
    scales = [OFF if a is None else str(a.scale or "native") for a in spec.attention]
    words = " ".join(f"s{stage}={scale}" for stage, scale in enumerate(scales, start=1))
    return f"{words} seed{seed} ({spec.network_id[:8]})"


def check_names(names: tuple[str, ...]) -> None:
    """Refuse a name that is no logger's.

    Raises:
        StudyError: names those that there are.
    """
    known = get_args(LoggerName)
    for name in names:
        if name not in known:
            raise StudyError(f"logger must be one of {', '.join(known)}, got {name}")


def make_loggers(names: tuple[str, ...], *, store: Store, study: Study) -> list[Logger]:
    """Watchers of these names.

    Raises:
        StudyError: not installed, or its service cannot be reached.
    """
    return [Logger(name, _reached(name, store, study), study) for name in dict.fromkeys(names)]


def one_line(error: Exception) -> str:
    """An error of somebody else's package as part of our line."""
    return " ".join(str(error).split())[:300] or type(error).__name__


def _reached(name: str, store: Store, study: Study) -> Service:
    from search.drive import services

    try:
        match name:
            case "tensorboard":
                return services.TensorBoard(store)
            case "mlflow":
                return services.MLflow(store, project=study.name)
            case _:
                return services.WandB(store, project=study.name)
    except ImportError as error:
        raise StudyError(f"logger {name} needs its package to be installed, got {error}") from None
    except Exception as error:
        raise StudyError(f"logger {name} must be able to begin: {one_line(error)}") from None
