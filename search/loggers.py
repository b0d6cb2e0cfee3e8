"""TensorBoard, MLflow and Weights & Biases through the callbacks that Ray ships; off by default."""

import importlib
from pathlib import Path
from typing import Any, Literal, get_args

from search.errors import StudyError
from search.store import Store

LoggerName = Literal["tensorboard", "mlflow", "wandb"]


def make_loggers(names: tuple[str, ...], *, project: str) -> list[Any]:
    """Ray's callbacks of these names.

    Args:
        project: experiment or project name, for MLflow and W&B; their own environment variables
            say where they write.

    Raises:
        StudyError: unknown, or its package is not installed.
    """
    return [_make(name, project) for name in dict.fromkeys(names)]


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
