"""Damaged and foreign bytes: never another number, always a name, and nobody stops or deletes."""

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import damaging as d
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.errors import StoreError
from search.store.check import check
from search.store.compact import merge_all
from search.store.history import read_history
from search.store.part import row_of, rows_of, single
from search.store.parts import plain, read_all
from search.store.schema import CELLS, EPOCHS, SCHEMA_VERSION
from search.store.sealed import file_name, seal, to_parquet, unseal
from search.store.status import status
from search.store.storage import Storage
from search.store.store import Store

pytestmark = pytest.mark.slow  # takes seconds


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Every kind of file."""
    return d.whole_store(tmp_path_factory.mktemp("bytes") / "study")


@pytest.mark.parametrize("damage", [d.flipped, *d.DAMAGES.values()])
def test_damaged_bytes_are_never_another_value_and_are_named(
    store: Store, damage: d.Damage
) -> None:
    rng = random.Random(1)
    for name in d.files(store):
        before = d.values(store, name)
        for _ in range(4 if damage is d.flipped else 1):
            found, why = d.damaged(store, name, damage, before, rng)
            assert found in ("same value", "named"), f"{name}: {found}: {why}"


def test_parts_with_each_other_s_bytes_or_names_are_named(store: Store) -> None:
    for folder in ("cells", "epochs"):
        one, other = (f"{folder}/{name}" for name in store.loose(folder)[:2])
        assert d.swapped(store, one, other, d.values(store, one))[0] == "named"


def foreign_files(folder: Path) -> list[str]:
    """What may lie among the parts of `trainings` or `epochs`."""
    rows = {"network_id": ["a"], "protocol_id": ["b"], "seed": [0], "attempt": [0], "status": ["x"]}
    wrong = {
        "columns": pa.table({"a": [1, 2], "b": ["x", "y"]}),
        "types": pa.table(rows | {"seed": ["zero"]}),
        "nested": pa.table(rows | {"seed": [{"a": 1}]}),
        "null": pa.table(rows | {"status": pa.nulls(1, pa.string())}),
        "version": pa.table(rows).replace_schema_metadata({"schema_version": "abc"}),
    }
    for name, table in wrong.items():
        pq.write_table(table, folder / f"{name}.parquet")
    (folder / "empty.parquet").write_bytes(b"")
    (folder / "magic.parquet").write_bytes(b"PAR1PAR1")
    (folder / "notes.txt").write_text("mine")
    (folder / "folder.parquet").mkdir()
    os.mkfifo(folder / "pipe.parquet")
    os.symlink("nowhere", folder / "dangling.parquet")
    os.symlink("circle.parquet", folder / "circle.parquet")
    return [path.name for path in folder.iterdir() if path.name.count(".") == 1]


@pytest.mark.parametrize("table", ["cells", "epochs"])
def test_foreign_files_are_left_out_named_and_never_merged_or_deleted(
    tmp_path: Path, table: str
) -> None:
    store = d.whole_store(tmp_path / "study")
    rows = store.trainings().to_pylist()
    names = foreign_files(Path(store.address) / table)
    assert store.trainings().to_pylist() == rows
    assert status(store).complete == len(rows)
    assert status(store).damaged >= 7
    assert len(read_history(store, store.study()).final(3)) == len(rows)
    broken = "\n".join(check(store))
    assert [name for name in names if f"{table}/{name}" not in broken] == []
    merge_all(store)
    assert set(names) <= {path.name for path in (Path(store.address) / table).iterdir()}
    assert len(store.part_names("cells")) <= 1 + (len(names) if table == "cells" else 0)
    key = lambda row: row["point"]  # noqa: E731
    after = [row | {"is_canonical": None} for row in store.trainings().to_pylist()]
    before = [row | {"is_canonical": None} for row in rows]
    assert sorted(after, key=key) == sorted(before, key=key)


def test_a_damaged_merged_file_is_not_deleted_by_compaction(tmp_path: Path) -> None:
    store = d.whole_store(tmp_path / "study")
    (name,) = [name for name in store.part_names("cells") if name.startswith("merged-")]
    path = Path(store.address) / "cells" / name
    path.write_bytes(path.read_bytes()[:-1])
    merge_all(store)
    assert path.exists()
    assert any(name in line for line in check(store))


@pytest.mark.parametrize(
    "name", ["lease.json", "extras.json", "manifest.parquet", "map.parquet", "attended.parquet"]
)
@pytest.mark.parametrize("spoil", [Path.touch, Path.mkdir, os.mkfifo], ids=["empty", "dir", "pipe"])
def test_no_damaged_single_file_stops_status_or_check(
    tmp_path: Path, name: str, spoil: Callable[[Path], Any]
) -> None:
    store = d.whole_store(tmp_path / "study")
    path = Path(store.address) / name
    path.unlink()
    spoil(path)
    assert status(store).complete == 9
    assert any(f"/{name}" in line for line in check(store))


def test_a_study_changed_by_hand_is_refused_by_name(tmp_path: Path) -> None:
    store = d.whole_store(tmp_path / "study")
    path = Path(store.address) / "study.json"
    path.write_text(path.read_text().replace('"epochs": 3', '"epochs": 4'))
    with pytest.raises(StoreError, match=r"study\.json: must be as it was written, got another"):
        store.study()


def test_json_without_a_checksum_is_read_and_a_lost_one_is_noticed(tmp_path: Path) -> None:
    assert unseal('{"a": 1}', source="x") == {"a": 1}
    assert unseal("[1]", source="x") == [1]
    text = seal({"a": [0.1, None, float("inf")]})
    assert unseal(text, source="x") == {"a": [0.1, None, float("inf")]}
    with pytest.raises(StoreError, match="x: must be as it was written"):
        unseal(text.replace("checksum", "checksun"), source="x")
    Storage(tmp_path).write("a.json", b'{"a": ')
    with pytest.raises(StoreError, match=r"a\.json: must be JSON"):
        Storage(tmp_path).read_json("a.json")


def test_a_part_opens_in_other_programs(store: Store) -> None:
    name = store.loose("cells")[0]
    path = Path(store.address) / "cells" / name
    assert pq.read_table(path)["network_id"][0].as_py() == name[:16]
    assert pq.read_metadata(path).metadata[b"stacnet-row"].startswith(b"stacnet-row:{")


def test_the_row_in_the_footer_is_the_row_in_the_columns(store: Store) -> None:
    fast = pa.concat_tables(read_all(store.storage, "cells", CELLS.names).tables)
    slow = [store.read_part("cells", name) for name in store.part_names("cells")]
    by_point = [("point", "ascending")]
    wanted = pa.concat_tables(slow).sort_by(by_point)
    assert fast.cast(CELLS).sort_by(by_point).equals(wanted)


FLOATS = st.floats(allow_nan=False) | st.just(float("nan"))
ROWS = st.fixed_dictionaries(
    {
        "network_id": st.text(),
        "seed": st.integers(-(2**63), 2**63 - 1),
        "val_loss_last": FLOATS,
    },
    optional={"error_text": st.text(), "epochs": st.integers(-(2**31), 2**31 - 1)},
)


@given(st.lists(ROWS, min_size=1, max_size=4))
def test_a_row_in_a_footer_keeps_every_value(rows: list[dict[str, Any]]) -> None:
    names = ["network_id", "seed", "val_loss_last", "error_text", "epochs"]
    parts = [single(row) for row in rows]
    lines = [row_of(data, file_name("cells", "a", data)) for data in parts]
    found = plain(rows_of([line for line in lines if line], names), CELLS)
    wanted = pa.Table.from_pylist(rows, schema=CELLS).select(names)
    bits = [table["val_loss_last"].to_numpy().tobytes() for table in (found, wanted)]
    assert bits[0] == bits[1]
    others = [name for name in names if name != "val_loss_last"]
    assert found.select(others).to_pylist() == wanted.select(others).to_pylist()


def test_a_part_is_looked_at_though_the_one_before_it_was_sound(tmp_path: Path) -> None:
    store = d.whole_store(tmp_path / "study")
    rows = store.trainings()
    assert rows.num_rows == 9
    lacking = rows.drop_columns(["latency_s"])
    store.write_merged("cells", lacking.set_column(4, "seed", rows["seed"].cast(pa.int32())))
    broken = [line for line in check(store) if "seed must be of type int64, got int32" in line]
    assert len(broken) == 1
    newer = CELLS.with_metadata({"schema_version": str(SCHEMA_VERSION + 1)})
    store.write_merged("cells", rows.cast(newer))
    with pytest.raises(StoreError, match=f"at most {SCHEMA_VERSION}, got {SCHEMA_VERSION + 1}"):
        store.trainings()


def test_an_epochs_file_put_among_the_trainings_is_no_part(tmp_path: Path) -> None:
    store = d.whole_store(tmp_path / "study")
    rows = store.epochs()
    store.storage.write("cells/old.parquet", to_parquet(rows.cast(EPOCHS)))
    assert any("cells/old.parquet: a part must have the column status" in s for s in check(store))
