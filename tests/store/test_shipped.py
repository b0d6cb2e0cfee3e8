"""Studies that ship: whole, never changed, and the same in every form they are exported to."""

import hashlib
from pathlib import Path

import pyarrow.compute as pc
import pytest
from planted import planted_store, small_study
from pyarrow import csv

import search.store.shipped as shipped
from search.errors import StorageError
from search.sampling.export import export_csv
from search.store.check import check
from search.store.shipped import FOLDER, SCHEME, shipped_studies
from search.store.store import Store

NAMES = shipped_studies()


def test_a_shipped_study_opens_by_its_name_and_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    planted_store(str(tmp_path / "small"), small_study())
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    store = Store("bench:small")
    assert store.trainings(["seed"]).num_rows == 72
    changes = (
        lambda: store.storage.write("picks.json", b"{}"),
        lambda: store.storage.delete("study.json"),
        lambda: store.storage.move("study.json", "other.json"),
        lambda: store.storage.delete_folder("cells"),
        lambda: store.storage.upload("x", tmp_path / "small" / "study.json"),
    )
    for change in changes:
        with pytest.raises(StorageError, match="a study that ships must stay as it is"):
            change()
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for wrong in ("bench:smal", "bench:", "bench:../small"):
        with pytest.raises(ValueError, match="did you mean small"):
            Store(wrong)


@pytest.mark.parametrize("name", NAMES)
def test_what_ships_is_whole(name: str) -> None:
    listed = dict(
        reversed(line.split("  "))
        for line in (FOLDER / name / "SHA256SUMS").read_text().splitlines()
    )
    there = {
        path.relative_to(FOLDER / name).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (FOLDER / name).rglob("*")
        if path.is_file() and path.name != "SHA256SUMS"
    }
    assert listed == there
    assert check(Store(f"{SCHEME}{name}")) == []


@pytest.mark.parametrize("name", NAMES)
def test_the_csv_holds_what_the_parquet_does(name: str, tmp_path: Path) -> None:
    store = Store(f"{SCHEME}{name}")
    trainings = store.trainings(all_attempts=True)
    export_csv(store, tmp_path)
    read = csv.read_csv(tmp_path / "cells.csv")
    for column in ("val_acc_last", "test_acc_last", "macs", "seed"):
        assert read[column].to_pylist() == trainings[column].to_pylist()
    bits = [(data or b"").hex() for data in trainings["test_correct"].to_pylist()]  # none: empty
    assert pc.cast(read["test_correct"], "string").to_pylist() == bits
