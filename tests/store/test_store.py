"""The store: parts are idempotent, readers derive what counts, old stores stay readable."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pandas
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from searches import cheap

from search.errors import StoreError
from search.store.check import check
from search.store.compact import merge_all, merge_loose
from search.store.history import read_history
from search.store.lost import Loss, write_lost
from search.store.manifest import load_or_make
from search.store.part import KEY
from search.store.reuse import reuse
from search.store.rows import Effort, epoch_rows, training_row
from search.store.schema import CELLS, EPOCHS, SCHEMA_VERSION
from search.store.status import status
from search.store.store import Store
from search.study.training import Job, Training
from stacnet.protocol import EpochResult

GOLDEN = Path(__file__).parents[1] / "golden_store_v1"
STUDY = cheap()
ORDER = [("network_id", "ascending"), ("attempt", "ascending")]


def job(point: int = 0, *, seed: int = 0, attempt: int = 0) -> Job:
    """An attempt at a point of the cheap study."""
    spec = STUDY.space.spec(point)
    protocol_id = STUDY.protocol.protocol_id
    training = Training(spec=spec, protocol_id=protocol_id, seed=seed, point=point)
    return Job(training=training, attempt=attempt, order=10 * point + seed, gpus=0.0)


def results(num: int = 3) -> list[EpochResult]:
    """Epochs that learn."""
    shape = {"train_acc": 0.5, "lr": 0.1, "train_s": 1.0, "eval_s": 0.5, "resumed": False}
    return [
        EpochResult(
            epoch=e, train_loss=1 / e, val_loss=1 / e, val_acc=e / 10, cum_s=1.5 * e, **shape
        )
        for e in range(1, num + 1)
    ]


def put(store: Store, work: Job, *, state: str = "complete", epochs: int = 3) -> None:
    """Store one attempt."""
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    effort = Effort(started_at=moment, ended_at=moment, wall_s=2.0, hostname="h", device_name="d")
    facts = {"epochs": epochs, "val_acc_last": epochs / 10, "params": 5, "macs": 7}
    row = training_row(work, STUDY, status=state, effort=effort, facts=facts)
    store.write_attempt(work, row, epoch_rows(work, results(epochs)))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """The cheap study, begun."""
    store = Store(tmp_path / "study")
    store.begin(STUDY)
    load_or_make(store.storage, STUDY)
    return store


def test_a_study_names_the_code_it_began_with(store: Store) -> None:
    assert store.study() == STUDY
    assert {"commit", "python", "torch", "ray"} <= store.code().keys()
    store.storage.write_json("study.json", store.storage.read_json("study.json") | {"lr": 1})
    with pytest.raises(ValueError, match=r"study.json: lr: no such field"):
        store.study()


def test_writing_an_attempt_twice_changes_nothing(store: Store) -> None:
    put(store, job())
    before = store.trainings().to_pylist()
    put(store, job())
    assert store.trainings().to_pylist() == before
    assert store.epochs().num_rows == 3


def test_the_first_complete_attempt_counts(store: Store) -> None:
    put(store, job(attempt=0), state="preempted", epochs=1)
    put(store, job(attempt=1), epochs=3)
    put(store, job(attempt=2), epochs=2)
    assert store.trainings(["attempt", "status"]).to_pylist() == [
        {"attempt": 1, "status": "complete"}
    ]
    assert store.trainings(all_attempts=True)["is_canonical"].to_pylist() == [False, True, False]
    assert store.epochs(["epoch"])["epoch"].to_pylist() == [1, 2, 3]


def test_without_a_complete_attempt_the_last_counts(store: Store) -> None:
    put(store, job(attempt=0), state="failed")
    put(store, job(attempt=1), state="preempted")
    assert store.trainings(["attempt"]).to_pylist() == [{"attempt": 1}]


def test_a_merge_that_was_cut_short_leaves_only_rows_that_count_once(store: Store) -> None:
    for point in range(4):
        put(store, job(point))
    before = store.trainings().sort_by("point").to_pylist()
    copies = {name: store.storage.read(f"cells/{name}") for name in store.loose("cells")}
    merge_loose(store)
    for name, data in copies.items():  # as if deleting had not been reached
        store.storage.write(f"cells/{name}", data)
    assert store.trainings().sort_by("point").to_pylist() == before
    assert check_files(store) == []


def check_files(store: Store) -> list[str]:
    """What is broken, but for trainings that are still owed."""
    return [line for line in check(store) if "stac resume" not in line]


def test_compaction_leaves_one_file_a_table_and_says_which_rows_count(store: Store) -> None:
    put(store, job(0, attempt=0), state="failed")
    put(store, job(0, attempt=1))
    put(store, job(1))
    before = store.trainings().sort_by("point").to_pylist(), store.epochs().to_pylist()
    merge_all(store)
    after = store.trainings().sort_by("point").to_pylist(), store.epochs().to_pylist()
    assert after == before
    (name,) = store.part_names("cells")
    table = pq.read_table(Path(store.address) / "cells" / name)
    assert sorted(table["is_canonical"].to_pylist()) == [False, True, True]
    assert len(store.part_names("epochs")) == 1


def test_a_torn_part_is_left_out_named_and_owed_again(store: Store) -> None:
    put(store, job(0))
    put(store, job(1))
    torn = Path(store.address) / "cells" / store.loose("cells")[0]
    torn.write_bytes(torn.read_bytes()[:-20])
    assert store.trainings().num_rows == 1
    assert len(read_history(store, STUDY).final(3)) == 1
    assert any(torn.name in line and "must be whole" in line for line in check(store))
    merge_all(store)
    assert torn.exists()
    assert store.trainings().num_rows == 1


def test_a_hidden_file_is_no_part(store: Store) -> None:
    put(store, job(0))
    (Path(store.address) / "cells" / ".half.parquet").write_bytes(b"PAR1")
    assert store.trainings().num_rows == 1


@pytest.mark.parametrize("merged", [True, False])
def test_a_newer_store_is_refused_with_one_clear_line(
    store: Store, monkeypatch: pytest.MonkeyPatch, merged: bool
) -> None:
    newer = CELLS.with_metadata({"schema_version": str(SCHEMA_VERSION + 1)})
    put(store, job(0))
    if merged:
        store.write_merged("cells", pa.table(store.trainings(), schema=CELLS).cast(newer))
    else:
        monkeypatch.setattr("search.store.part.CELLS", newer)  # as a later version writes it
        put(store, job(1))
        monkeypatch.undo()
    with pytest.raises(StoreError, match=f"at most {SCHEMA_VERSION}, got {SCHEMA_VERSION + 1}"):
        store.trainings()


def test_another_study_in_the_same_folder_is_refused_by_its_field(store: Store) -> None:
    changed = replace(STUDY, protocol=replace(STUDY.protocol, epochs=7))
    with pytest.raises(StoreError, match=r"protocol\.epochs: 3 -> 7"):
        store.begin(changed)


def test_a_folder_without_a_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"must hold study\.json"):
        Store(tmp_path).study()


def test_units_and_directions_are_in_the_files(store: Store) -> None:
    put(store, job(0))
    name = store.loose("cells")[0]
    schema = pq.read_schema(Path(store.address) / "cells" / name)
    assert schema.field("macs").metadata[b"unit"] == b"MACs"
    assert schema.field("val_acc_last").metadata[b"direction"] == b"maximize"
    assert pandas.read_parquet(Path(store.address) / "cells").shape[0] == 1


def test_a_lost_attempt_costs_what_no_checkpoint_saved(store: Store) -> None:
    store.storage.write(f"checkpoints/{job().training.training_id}/000001-0-4000.pt", b"")
    loss = Loss(cause="node", text="gone")
    write_lost(job(), study=STUDY, store=store, loss=loss, wall_s=10.0)
    (row,) = store.trainings().to_pylist()
    assert (row["status"], row["device_s"], row["wasted_device_s"]) == ("preempted", 10.0, 6.0)


def test_status_counts_each_training_once(store: Store) -> None:
    put(store, job(0))
    put(store, job(1), state="pruned", epochs=1)
    put(store, job(2), state="preempted")
    for attempt in range(3):
        put(store, job(3, attempt=attempt), state="failed")
    now = status(store)
    assert (now.cells, now.complete, now.pruned, now.failed, now.missing) == (54, 1, 1, 1, 51)
    assert now.best == pytest.approx(0.3)
    assert now.device_s == pytest.approx(12.0)


def test_reused_trainings_count_are_marked_and_cost_nothing(store: Store, tmp_path: Path) -> None:
    put(store, job(0, attempt=1))
    put(store, job(1), state="failed")
    other = replace(STUDY, name="other")
    target = Store(tmp_path / "other")
    target.begin(other)
    among = load_or_make(target.storage, other)
    assert reuse(target, store, study=other, among=among, known=set()) == 1
    assert (
        reuse(
            target,
            store,
            study=other,
            among=among,
            known=set(read_history(target, other).records),
        )
        == 0
    )
    (row,) = target.trainings().to_pylist()
    assert row["suggested_by"] == f"reuse:{STUDY.study_id}"
    assert row["study_id"] == other.study_id
    assert row["device_s"] == 0.0
    assert target.epochs().num_rows == 3


def test_a_store_of_schema_version_1_stays_readable() -> None:
    store = Store(GOLDEN)
    expected = json.loads((GOLDEN / "expected.json").read_text())
    found = store.trainings([*KEY, "attempt", "status", "val_acc_last", "macs"]).sort_by(ORDER)
    assert found.to_pylist() == expected["cells"]
    assert store.epochs([*KEY, "epoch", "val_acc"]).to_pylist() == expected["epochs"]
    assert store.trainings().schema.equals(CELLS)
    assert store.epochs().schema.equals(EPOCHS)


def test_a_batch_of_loose_files_becomes_one(store: Store) -> None:
    for point in range(20):
        put(store, job(point), epochs=1)
    assert merge_loose(store) == 40
    assert len(store.part_names("cells")) == 1
