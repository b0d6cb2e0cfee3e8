"""What TensorBoard, MLflow and W&B are given; the last two where they are installed."""

import struct
import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from planted import small_study
from tensorboardX.proto.event_pb2 import Event

from search.drive.loggers import Logger, Run, make_loggers, run_name
from search.drive.run import Options
from search.errors import StudyError
from search.store.store import Store
from search.study.training import Job, Training

STUDY = small_study()


def job(point: int, *, seed: int = 1, attempt: int = 0) -> Job:
    """An attempt at a training of the planted study."""
    protocol_id = STUDY.protocol.protocol_id
    training = Training(
        spec=STUDY.space.spec(point), protocol_id=protocol_id, seed=seed, point=point
    )
    return Job(training=training, attempt=attempt, order=0, gpus=0.0)


def epochs(first: int, last: int) -> list[dict[str, Any]]:
    """Rows as a worker reports them; the accuracy is a hundredth of the epoch."""
    shape = {"train_loss": 1.0, "train_acc": 0.5, "val_loss": 2.0, "lr": 0.1, "cum_s": 1.0}
    return [{"epoch": e, "val_acc": e / 100, **shape} for e in range(first, last + 1)]


def begun(folder: Path) -> Store:
    """A store that holds the study and nothing else."""
    store = Store(folder)
    store.begin(STUDY)
    return store


def log_a_killed_and_resumed_training(store: Store, name: str) -> None:
    """Two drivers: the first is killed after epoch 4, the second begins at its checkpoint, 2."""
    (first,) = make_loggers((name, name), store=store, study=STUDY)
    first.began(job(29))
    first.reported(job(29), epochs(1, 2))
    first.reported(job(29), epochs(3, 4))
    first.ended(job(29), "preempted", {})
    first.close()
    (second,) = make_loggers((name,), store=store, study=STUDY)
    second.began(job(29, attempt=1))
    second.reported(job(29, attempt=1), epochs(1, 3))
    second.reported(job(29, attempt=1), epochs(4, 6))
    second.ended(job(29, attempt=1), "complete", {"values": {"val_acc": 0.06, "macs": 77}})
    second.close()


def events(run: Path) -> Iterator[Event]:
    """The records of a run's files in the order TensorBoard reads them."""
    for file in sorted(run.iterdir()):
        data = file.read_bytes()
        while data:
            (length,) = struct.unpack("<Q", data[:8])
            yield Event.FromString(data[12 : 12 + length])
            data = data[16 + length :]


def shown(run: Path) -> dict[str, dict[int, float]]:
    """Tag -> step -> value, as TensorBoard shows them: a restart hides the steps from there on."""
    found: dict[str, dict[int, float]] = defaultdict(dict)
    for event in events(run):
        if event.HasField("session_log"):
            for points in found.values():
                for step in [step for step in points if step >= event.step]:
                    del points[step]
        for value in event.summary.value:
            assert event.step not in found[value.tag], f"{value.tag} has step {event.step} twice"
            found[value.tag][event.step] = value.simple_value
    return found


def test_a_training_is_one_tensorboard_run_named_in_words_whose_steps_are_epochs(
    tmp_path: Path,
) -> None:
    log_a_killed_and_resumed_training(begun(tmp_path), "tensorboard")
    (run,) = (tmp_path / "tensorboard").iterdir()
    assert run.name == run_name(STUDY.space.spec(29), 1)
    assert run.name.startswith("s1=4 s2=off s3=native seed1 (")
    found = shown(run)
    accuracy = {epoch: epoch / 100 for epoch in range(1, 7)}
    assert found["val/acc"] == pytest.approx(accuracy)
    for tag in ("val/loss", "train/acc", "train/loss", "lr"):
        assert list(found[tag]) == list(accuracy)
    assert found["final/macs"] == {6: 77}
    assert found["final/val_acc"] == pytest.approx({6: 0.06})
    assert "_hparams_/session_start_info" in found


def test_a_training_without_an_epoch_leaves_no_tensorboard_run(tmp_path: Path) -> None:
    (logger,) = make_loggers(("tensorboard",), store=begun(tmp_path), study=STUDY)
    logger.began(job(0))
    logger.ended(job(0), "failed", {})
    logger.close()
    assert list((tmp_path / "tensorboard").iterdir()) == []


def test_mlflow_gets_one_run_for_a_resumed_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow", reason="needs the extra `loggers`")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file:{tmp_path / 'runs'}")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    log_a_killed_and_resumed_training(begun(tmp_path / "study"), "mlflow")
    (run,) = mlflow.search_runs(experiment_names=["planted"], output_format="list")
    assert (run.info.run_name, run.info.status) == (run_name(STUDY.space.spec(29), 1), "FINISHED")
    assert run.data.params == {"s1_scale": "4", "s2_scale": "off", "s3_scale": "4", "seed": "1"}
    history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "val/acc")
    assert [(m.step, m.value) for m in history] == [(e, e / 100) for e in range(1, 7)]
    assert run.data.metrics["final/macs"] == 77


def test_wandb_gets_a_run_for_each_part_of_a_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb", reason="needs the extra `loggers`")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    log_a_killed_and_resumed_training(begun(tmp_path / "study"), "wandb")
    files = list(tmp_path.glob("wandb/offline-run-*/run-*.wandb"))
    assert len({file.name for file in files}) == 1  # offline, the same run in two folders
    assert all(b"val/acc" in file.read_bytes() for file in files)


def test_an_unknown_logger_is_refused_by_name_before_anything_begins() -> None:
    with pytest.raises(StudyError, match=r"logger must be one of tensorboard, .*, got print"):
        Options(loggers=("print",))


def test_a_logger_that_cannot_begin_is_one_line(tmp_path: Path) -> None:
    store = begun(tmp_path)
    (tmp_path / "tensorboard").write_text("a file where the folder should be")
    with pytest.raises(StudyError, match=r"^logger tensorboard must be able to begin: .*exists"):
        make_loggers(("tensorboard",), store=store, study=STUDY)


class Unwell:
    """A service that fails at its second epoch, or hangs until it is let go."""

    def __init__(self, *, hangs: bool = False) -> None:
        self.calls: list[str] = []
        self.let_go = threading.Event()
        self._hangs = hangs

    def begin(self, run: Run) -> None:
        """Noted."""
        self.calls.append("begin")

    def log(self, run: Run, epoch: int, metrics: dict[str, float]) -> None:
        """Fails or hangs."""
        self.calls.append(f"epoch {epoch}")
        if self._hangs:
            self.let_go.wait()
        elif epoch == 2:
            raise ConnectionError("nobody answers\nany more")

    def end(self, run: Run, status: str, metrics: dict[str, float]) -> None:
        """Noted."""
        self.calls.append("end")

    def close(self) -> None:
        """Noted."""
        self.calls.append("close")


def test_a_logger_that_fails_ends_the_logging_and_not_the_search(
    capsys: pytest.CaptureFixture[str],
) -> None:
    service = Unwell()
    logger = Logger("mlflow", service, STUDY)
    for point in (0, 1):
        logger.began(job(point))
        logger.reported(job(point), epochs(1, 3))
        logger.ended(job(point), "complete", {"values": {}})
    logger.close()
    line = "stac: logger mlflow failed, the search goes on without it: nobody answers any more\n"
    assert capsys.readouterr().err == line
    assert service.calls == ["begin", "epoch 1", "epoch 2"]


def test_a_service_that_hangs_holds_up_neither_the_search_nor_its_end(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.drive.loggers.CLOSE_S", 0.05)
    service = Unwell(hangs=True)
    logger = Logger("wandb", service, STUDY)
    logger.reported(job(0), epochs(1, 1000))
    logger.close()
    service.let_go.set()
    assert "logger wandb is still busy after 0 s" in capsys.readouterr().err
