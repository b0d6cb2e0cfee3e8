"""`stac repair`: sets aside and deletes nothing, says what is lost and what is owed."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import damaging as d
import pytest

from search.errors import LeaseError, StoreError
from search.store import repair as module
from search.store.check import check
from search.store.extras import read_extras
from search.store.history import read_history
from search.store.lease import Lease
from search.store.manifest import read_manifest
from search.store.part import single
from search.store.repair import repair
from search.store.status import status
from search.store.store import Store

pytestmark = pytest.mark.slow  # takes seconds


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Every kind of file, all whole; the lease is free."""
    monkeypatch.setattr(module, "BEAT_S", 0.0)
    store = d.whole_store(tmp_path / "study")
    store.storage.delete("lease.json")
    return store


def spoil(store: Store, name: str) -> bytes:
    """Cut the last byte off; what is left."""
    path = Path(store.address) / name
    path.write_bytes(path.read_bytes()[:-1])
    return path.read_bytes()


def aside(store: Store, name: str) -> bytes:
    """A file that was set aside."""
    return (Path(store.address) / "set-aside" / name).read_bytes()


def test_a_sound_store_is_left_as_it_is(store: Store) -> None:
    before = d.files(store)
    assert list(repair(store)) == [f"owes 50 trainings: stac resume {store.address}"]
    assert d.files(store) == before


def test_damaged_parts_are_set_aside_and_their_trainings_are_owed(store: Store) -> None:
    before = len(read_history(store, store.study()).final(3))
    training, curve = f"cells/{store.loose('cells')[0]}", f"epochs/{store.loose('epochs')[1]}"
    left = {name: spoil(store, name) for name in (training, curve)}
    said = list(repair(store))
    assert all(any(name in line and "set-aside/" in line for line in said) for name in left)
    assert said[-1].startswith("owes 52 trainings: stac resume ")
    assert {name: aside(store, name) for name in left} == left
    assert len(read_history(store, store.study()).final(3)) == before - 2
    assert [line for line in check(store) if "stac resume" not in line] == []


@pytest.mark.parametrize(
    "name", ["extras.json", "map.parquet", "attended.parquet", "picks.json", "replays.json"]
)
def test_a_damaged_single_file_is_set_aside_with_what_is_lost(store: Store, name: str) -> None:
    left = spoil(store, name)
    (line,) = [line for line in list(repair(store)) if f"/{name}" in line]
    assert "lost: added trials" in line if name == "extras.json" else "make it again: stac" in line
    assert "DIR" not in line
    assert aside(store, name) == left
    assert not store.storage.exists(name)


def test_a_second_file_of_a_name_is_set_aside_beside_the_first(store: Store) -> None:
    for content in ("{", "["):
        store.storage.write("picks.json", content.encode())
        list(repair(store))
    assert (aside(store, "picks.json"), aside(store, "picks.json.1")) == (b"{", b"[")


def test_a_damaged_manifest_is_made_again(store: Store) -> None:
    whole = read_manifest(store.storage)
    spoil(store, "manifest.parquet")
    said = list(repair(store))
    assert any("manifest.parquet" in line and "made again" in line for line in said)
    assert read_manifest(store.storage) == whole


def test_the_parts_of_another_protocol_are_set_aside(store: Store, tmp_path: Path) -> None:
    name, *_ = store.loose("cells")
    row = store.read_part("cells", name).to_pylist()[0]
    row |= {"protocol_id": "f" * 16, "epochs": 0}
    store._write_part("cells", "foreign", single(row))
    assert status(store).complete == 9
    assert any("rows must be of protocol" in line for line in check(store))
    said = list(repair(store))
    assert any("rows must be of protocol" in line and "set aside" in line for line in said)
    assert not any("rows must be of protocol" in line for line in check(store))


def test_nothing_is_touched_under_a_living_driver(store: Store) -> None:
    spoil(store, "picks.json")
    before = d.files(store)
    lease = Lease(store.storage)
    with pytest.raises(LeaseError, match="one driver at a time"):
        list(repair(store))
    lease.release()
    assert d.files(store) == before


def test_a_damaged_lease_is_set_aside(store: Store) -> None:
    store.storage.write("lease.json", b'{"owner"')
    said = list(repair(store))
    assert any("lease.json" in line and "which trainings ran" in line for line in said)
    assert aside(store, "lease.json") == b'{"owner"'
    assert not store.storage.exists("lease.json")


def test_a_damaged_study_is_set_aside_and_written_again_by_the_same_study(store: Store) -> None:
    spoil(store, "study.json")
    said = list(repair(store))
    assert f"stac search STUDY --out {store.address}, with the same study" in said[-1]
    with pytest.raises(StoreError, match=r"must hold study\.json"):
        list(repair(store))
    store.begin(d.STUDY)
    assert status(store).complete == 9


def test_a_newer_part_is_no_damage(store: Store) -> None:
    spoil(store, "picks.json")
    table = store.trainings()
    newer = table.replace_schema_metadata({"schema_version": "99"})
    store.write_merged("cells", newer)
    assert any("schema_version must be at most" in line for line in check(store))
    with pytest.raises(StoreError, match="schema_version must be at most"):
        list(repair(store))
    assert store.storage.exists("picks.json")


def test_a_manifest_that_was_cut_or_is_another_space_s_is_named_and_made_again(
    store: Store, tmp_path: Path
) -> None:
    space = replace(d.STUDY.space, reductions=(2,))
    other = d.whole_store(tmp_path / "other")
    shutil.rmtree(tmp_path / "other")
    other.begin(replace(d.STUDY, space=space))
    module.load_or_make(other.storage, other.study())
    whole = store.storage.read("manifest.parquet")
    store.storage.write("manifest.parquet", other.storage.read("manifest.parquet"))
    assert any("manifest.parquet: a manifest must be of the space" in line for line in check(store))
    assert status(store).cells == 54 + 5
    list(repair(store))
    assert store.storage.read("manifest.parquet") == whole


def test_values_that_cannot_be_are_named(store: Store) -> None:
    name, *_ = store.loose("cells")
    good = store.read_part("cells", name).to_pylist()[0]
    wrong = {
        "val_acc_last": (7.5, float("nan"), None),
        "macs": (-1,),
        "wall_s": (-0.5, float("inf")),
        "val_loss_last": (-1.0,),
        "epochs": (4,),
        "status": ("done",),
    }
    for column, values in wrong.items():
        for value in values:
            Path(store.address, "cells", name).unlink(missing_ok=True)
            name = store._write_part("cells", "wrong", single(good | {column: value}))
            lines = [line for line in check(store) if f": {column} must be " in line]
            assert any(f", got {value}" in line for line in lines), (column, value)


def test_networks_and_seeds_outside_the_study_are_named_and_not_counted(store: Store) -> None:
    name, *_ = store.loose("cells")
    row = store.read_part("cells", name).to_pylist()[0]
    epochs = {"epochs": 0}
    store._write_part("cells", "seed", single(row | epochs | {"seed": 77}))
    store._write_part("cells", "network", single(row | epochs | {"network_id": "0" * 16}))
    assert status(store).complete == 9
    lines = [line for line in check(store) if "network and seed must be the study's" in line]
    assert len(lines) == 2


def test_the_extras_of_a_damaged_file_stop_a_resume_and_not_the_status(store: Store) -> None:
    plain = json.loads(store.storage.read("extras.json"))
    store.storage.write("extras.json", json.dumps(plain | {"trials": 9}).encode())
    with pytest.raises(StoreError, match=r"extras\.json: must be as it was .* stac repair"):
        read_extras(store.storage)
    assert status(store).damaged == 1
