"""Which rows count: told apart by their key, with their curves, whoever wrote them and when."""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import damaging as d
import pyarrow as pa
import pytest

from search.store.check import check
from search.store.compact import merge_all, merge_loose
from search.store.extras import finalist_trainings, read_extras
from search.store.history import read_history
from search.store.own import best_network, ranking
from search.store.part import IDENTITY, single
from search.store.schema import CELLS, EPOCHS
from search.store.status import status
from search.store.store import Store
from search.study.networks import networks
from search.study.training import Job

pytestmark = pytest.mark.slow  # takes seconds


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """The cheap study, begun."""
    store = Store(tmp_path / "study")
    store.begin(d.STUDY)
    return store


def identities(store: Store) -> list[tuple]:
    """Of all attempts, sorted."""
    rows = store.trainings(IDENTITY, all_attempts=True).to_pylist()
    return sorted(tuple(map(str, row.values())) for row in rows)


@pytest.mark.parametrize("seeds", [(0, 2**61 - 1, 1, 2**61), (-1, -2, -(2**61), 2**63 - 1)])
def test_rows_are_told_apart_by_their_key_and_not_by_a_hash(
    store: Store, seeds: tuple[int, ...]
) -> None:
    job = d.attempt(store, 0)
    (row,), epochs = store.trainings().to_pylist(), store.epochs().to_pylist()
    for seed in seeds:
        training = replace(job.training, seed=seed)
        for attempt in (0, 1):
            change: dict[str, Any] = {"seed": seed, "attempt": attempt}
            copies = [epoch | change for epoch in epochs]
            store.write_attempt(
                replace(job, training=training, attempt=attempt), row | change, copies
            )
    before, curves = identities(store), store.epochs().num_rows
    assert len(before) == 2 * len(seeds) + (0 not in seeds)
    merge_all(store)
    assert identities(store) == before
    assert store.epochs().num_rows == curves


@pytest.mark.parametrize("merged", [False, True])
def test_a_torn_curve_makes_its_training_owed_again_and_not_for_ever(
    store: Store, merged: bool
) -> None:
    for point in range(3):
        d.attempt(store, point)
    if merged:
        merge_loose(store)
    path = Path(store.address) / "epochs" / store.part_names("epochs")[0]
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    lost = 3 if merged else 1
    for _ in range(2):
        assert status(store).complete == 3 - lost
        assert len(read_history(store, store.study()).final(3)) == 3 - lost
        assert sum("its epochs must be there" in line for line in check(store)) == lost
        merge_all(store)  # must not make it permanent
    path.write_bytes(whole)
    assert status(store).complete == 3
    assert store.epochs().num_rows == 9


def test_a_second_attempt_heals_a_torn_curve(store: Store) -> None:
    job = d.attempt(store, 0)
    (Path(store.address) / "epochs" / store.loose("epochs")[0]).write_bytes(b"")
    row = store.read_part("cells", store.loose("cells")[0]).to_pylist()[0]
    again = replace(job, lease="b" * 32)
    change = {"lease": again.lease}
    store.write_attempt(again, row | change, [e | change for e in epochs_of(job)])
    assert store.trainings(["lease"]).to_pylist() == [change]
    assert not any("its epochs must be there" in line for line in check(store))
    assert store.epochs(["epoch"]).num_rows == 3


def epochs_of(job: Job) -> list[dict[str, Any]]:
    """Three epochs of the attempt."""
    key = dict(zip(IDENTITY, (*job.training.key, job.attempt, job.lease), strict=True))
    return [key | {"epoch": epoch, "val_acc": 0.5, "cum_s": 1.5 * epoch} for epoch in (1, 2, 3)]


def test_a_row_of_no_epochs_needs_no_curve_and_a_failed_one_neither(store: Store) -> None:
    d.attempt(store, 0, epochs=0)
    d.attempt(store, 1, status="failed")
    for name in store.loose("epochs"):
        store.storage.delete(f"epochs/{name}")
    assert sorted(store.trainings(["status"])["status"].to_pylist()) == ["complete", "failed"]


def test_a_reader_never_sees_a_torn_curve_while_attempts_are_written_and_merged(
    store: Store,
) -> None:
    ended = threading.Event()

    def write() -> None:
        for point in range(27):
            d.attempt(store, point)
            if point % 5 == 4:
                merge_loose(store)
        merge_all(store)
        ended.set()

    thread = threading.Thread(target=write)
    thread.start()
    counts = [0]
    while not ended.is_set():
        found = store.attempts()
        assert found.torn.num_rows == 0
        assert found.damaged == {}
        counts.append(found.table.num_rows)
    thread.join()
    assert counts == sorted(counts)
    assert store.trainings().num_rows == 27


@pytest.mark.parametrize("merge", [lambda _: None, merge_loose, merge_all])
def test_of_worker_and_driver_the_end_counts_then_the_worker(store: Store, merge: Any) -> None:
    complete = d.attempt(store, 0)
    lost = {"error_type": "node", "error_text": "gone", "status": "preempted", "epochs": None}
    row = store.trainings().to_pylist()[0]
    store.write_attempt(complete, row | lost, [], lost=True)
    failed = d.attempt(store, 1, epochs=0, status="failed")
    row = next(r for r in store.trainings().to_pylist() if r["status"] == "failed")
    store.write_attempt(failed, row | lost, [], lost=True)
    merge(store)
    every = store.trainings(["point", "status"], all_attempts=True).sort_by("point").to_pylist()
    assert every == [{"point": 0, "status": "complete"}, {"point": 1, "status": "failed"}]


def test_an_end_stands_over_a_later_attempt_that_did_not_end(store: Store) -> None:
    job = d.attempt(store, 0, status="diverged")
    row = store.trainings().to_pylist()[0] | {"attempt": 1, "status": "preempted", "lease": "c"}
    store.write_attempt(replace(job, attempt=1, lease="c"), row, [])
    assert store.trainings(["status"]).to_pylist() == [{"status": "diverged"}]


def test_the_status_of_an_attempt_is_its_worker_s(store: Store) -> None:
    job = d.attempt(store, 0)
    assert store.attempt_status(job) == "complete"
    assert store.attempt_status(replace(job, lease="other")) is None
    (Path(store.address) / "cells" / store.loose("cells")[0]).write_bytes(b"")
    assert store.attempt_status(job) is None


def test_compaction_makes_files_of_a_batch_and_leaves_settled_ones_alone(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.store.compact.BATCH", 4)
    for point in range(22):
        d.attempt(store, point)
    table, curves = store.trainings().to_pylist(), store.epochs()
    for folder, schema in (("cells", CELLS), ("epochs", EPOCHS)):  # one old file of all
        old = pa.concat_tables([store.read_part(folder, n) for n in store.part_names(folder)])
        for name in store.part_names(folder):
            store.storage.delete(f"{folder}/{name}")
        store.write_merged(folder, old.cast(schema))
    merge_all(store)
    sizes = [store.read_part("cells", name).num_rows for name in store.part_names("cells")]
    assert sorted(sizes) == [2, 4, 4, 4, 4, 4]
    before = {folder: store.part_names(folder) for folder in ("cells", "epochs")}
    merge_all(store)
    assert {folder: store.part_names(folder) for folder in ("cells", "epochs")} == before
    assert len(store.trainings()) == len(table)
    assert store.epochs().equals(curves)


def test_the_best_network_is_the_best_mean_over_the_study_s_own_seeds(tmp_path: Path) -> None:
    store = d.whole_store(tmp_path / "study")
    rows = store.trainings().to_pylist()
    first, second = sorted(rows, key=lambda row: -row["val_acc_last"])[:2]
    for change in ({"seed": 1, "val_acc_last": 0.0}, {"seed": 100, "val_acc_last": 1.0}):
        row = first | change | {"epochs": 0}
        store._write_part("cells", f"x{change['seed']}", single(row))
    table, study = store.trainings(), store.study()
    among = networks(study.space)
    best = (second["network_id"], second["val_acc_last"])
    assert best_network(table, study, among) == best
    assert ranking(table, study, None)[0] == best
    assert (status(store).best_network, status(store).best) == best
    assert best_network(table.slice(0, 0), study, among) is None
    assert finalist_trainings(study, read_extras(store.storage), None)[0].seed == 100
