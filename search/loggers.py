"""TensorBoard, MLflow and Weights & Biases through the callbacks that Ray ships; off by default."""

import importlib
import sys
from pathlib import Path
from typing import Any, Literal, get_args

from ray import tune

from search.errors import StudyError
from search.store import Store

LoggerName = Literal["tensorboard", "mlflow", "wandb"]


class Logger(tune.Callback):
    """A callback of Ray's whose fault ends the logging, not the search."""

    def __init__(self, name: str, callback: Any) -> None:
        self._name = name
        self._callback: Any = callback

    def setup(self, *args: Any, **info: Any) -> None:
        """Reach the service.

        Raises:
            StudyError: it cannot be reached, or refuses.
        """
        try:
            self._callback.setup(*args, **info)
        except Exception as error:
            raise StudyError(f"logger {self._name} must be able to begin: {_line(error)}") from None

    def on_trial_start(self, *args: Any, **info: Any) -> None:
        """A run of the service begins."""
        self._log("on_trial_start", *args, **info)

    def on_trial_result(self, *args: Any, **info: Any) -> None:
        """Its latest epoch."""
        self._log("on_trial_result", *args, **info)

    def on_trial_complete(self, *args: Any, **info: Any) -> None:
        """The run is over."""
        self._log("on_trial_complete", *args, **info)

    def on_trial_error(self, *args: Any, **info: Any) -> None:
        """The run has failed."""
        self._log("on_trial_error", *args, **info)

    def on_experiment_end(self, *args: Any, **info: Any) -> None:
        """What is still on its way is sent."""
        self._log("on_experiment_end", *args, **info)

    def _log(self, hook: str, *args: Any, **info: Any) -> None:
        if self._callback is None:
            return
        try:
            getattr(self._callback, hook)(*args, **info)
        except Exception as error:
            self._callback = None
            print(
                f"stac: logger {self._name} failed, the search goes on without it: {_line(error)}",
                file=sys.stderr,
            )

    def __reduce__(self) -> tuple:
        return tune.Callback, ()


def make_loggers(names: tuple[str, ...], *, project: str) -> list[Logger]:
    """Ray's callbacks of these names.

    Args:
        project: experiment or project name, for MLflow and W&B; their own environment variables
            say where they write.

    Raises:
        StudyError: unknown, or its package is not installed.
    """
    return [Logger(name, _make(name, project)) for name in dict.fromkeys(names)]


def keep_tensorboard(folder: str, store: Store) -> None:
    """Copy event files out of Tune's folder, which is about to vanish, to `tensorboard/`."""
    for events in Path(folder).rglob("events.out.tfevents.*"):
        name = f"tensorboard/{events.parent.name}/{events.name}"
        store.storage.upload(name, events)


def _make(name: str, project: str) -> Any:
    try:
        match name:
            case "tensorboard":
                from ray.tune.logger import TBXLoggerCallback

                return TBXLoggerCallback()
            case "mlflow":
                from ray.air.integrations.mlflow import MLflowLoggerCallback

                _needs("mlflow")
                return MLflowLoggerCallback(experiment_name=project)
            case "wandb":
                from ray.air.integrations.wandb import WandbLoggerCallback

                _needs("wandb")
                return WandbLoggerCallback(project=project)
            case _:
                raise StudyError(f"logger must be one of {get_args(LoggerName)}, got {name}")
    except ImportError as error:
        raise StudyError(f"logger {name} needs its package to be installed, got {error}") from None


def _needs(package: str) -> None:
    importlib.import_module(package)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
