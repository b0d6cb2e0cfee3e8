"""TensorBoard, MLflow and W&B through Ray's callbacks; the last two where they are installed."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from searches import cheap
from trainables import Smooth

from search.errors import StudyError
from search.loggers import Logger
from search.ray_session import ray_session
from search.run import Options, search
from search.status import status
from search.store import Store

CELLS = 3


@pytest.fixture(scope="module", autouse=True)
def wandb_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One Ray with one slot for this file; its workers find the trainables and W&B's folder."""
    folder = tmp_path_factory.mktemp("wandb")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "offline")
        patch.setenv("WANDB_DIR", str(folder))
        patch.setenv("STACNET_CPUS", "1")
        patch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
        with ray_session(None):
            yield folder


def logged(out: Path, name: str) -> Store:
    """A search of three networks that logs to a service."""
    study = cheap(seeds=(0,))
    study = replace(study, space=replace(study.space, scales=(("off", 1, 2), ("off",), ("off",))))
    options = Options(progress=False, trainable=Smooth, loggers=(name,))
    assert search(study, out, options=options).finished
    return Store(out)


def test_tensorboard_files_are_kept_beside_the_store(tmp_path: Path) -> None:
    logged(tmp_path / "study", "tensorboard")
    files = list(tmp_path.glob("study/tensorboard/*/events.out.tfevents.*"))
    assert len(files) == CELLS
    assert all(b"ray/tune/latest/val_acc" in file.read_bytes() for file in files)


def test_mlflow_gets_a_run_for_each_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow", reason="needs the extra `loggers`")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file:{tmp_path / 'runs'}")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    logged(tmp_path / "study", "mlflow")
    runs = mlflow.search_runs(experiment_names=["cheap"], output_format="list")
    assert len(runs) == CELLS
    assert {run.data.params.get("network/s1_scale") for run in runs} == {None, "1", "2"}
    assert all(0 <= run.data.metrics["latest/val_acc"] <= 1 for run in runs)
    assert {run.info.status for run in runs} == {"FINISHED"}


def test_wandb_gets_a_run_for_each_cell(tmp_path: Path, wandb_folder: Path) -> None:
    pytest.importorskip("wandb", reason="needs the extra `loggers`")
    logged(tmp_path / "study", "wandb")
    files = list(wandb_folder.glob("wandb/offline-run-*/run-*.wandb"))
    assert len(files) == CELLS
    assert all(b"latest/val_acc" in file.read_bytes() for file in files)


def test_an_unknown_logger_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"logger must be one of .*, got print"):
        logged(tmp_path / "study", "print")


class Unwell:
    """A service that fails at its first result, or at once."""

    def __init__(self, *, at_once: bool) -> None:
        self._at_once = at_once

    def setup(self, **info: Any) -> None:
        """Reach the service."""
        if self._at_once:
            raise ConnectionError("nobody answers\nat all")

    def on_trial_start(self, **info: Any) -> None:
        """Begin a run."""

    def on_trial_result(self, **info: Any) -> None:
        """Log."""
        raise ConnectionError("nobody answers any more")


def test_a_logger_that_fails_ends_the_logging_and_not_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    unwell = Logger("mlflow", Unwell(at_once=False))
    monkeypatch.setattr("search.tuner.make_loggers", lambda names, project: [unwell])
    assert status(logged(tmp_path / "study", "mlflow")).complete == CELLS
    line = "logger mlflow failed, the search goes on without it: nobody answers any more"
    assert capfd.readouterr().err.count(line) == 1


def test_a_logger_that_cannot_begin_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unwell = Logger("mlflow", Unwell(at_once=True))
    monkeypatch.setattr("search.tuner.make_loggers", lambda names, project: [unwell])
    with pytest.raises(
        StudyError, match=r"^logger mlflow must be able to begin: nobody answers at"
    ):
        logged(tmp_path / "study", "mlflow")
