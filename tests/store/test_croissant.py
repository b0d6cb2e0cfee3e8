"""Croissant metadata of a study that ships; judged by `mlcroissant` where it is installed.

It is no dependency: `pip install mlcroissant` into a copy of .venv.
"""

import hashlib
import json
import runpy
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from planted import stored, wide

from search.store.shipped import FOLDER, shipped_studies

MADE = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "croissant.py"))


@pytest.fixture(params=shipped_studies())
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of a study that ships, described anew."""
    copy = tmp_path / request.param
    shutil.copytree(FOLDER / request.param, copy)
    (copy / "croissant.json").write_text(json.dumps(MADE["croissant"](copy, request.param)))
    return copy


def test_every_column_of_every_table_is_a_field_and_every_file_has_its_digest(folder: Path) -> None:
    plain = json.loads((folder / "croissant.json").read_text())
    digests = {one["@id"]: one["sha256"] for one in plain["distribution"]}
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*.parquet")}
    assert digests == {
        name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()
    }
    fields = {
        (field["source"]["fileObject"]["@id"], field["source"]["extract"]["column"])
        for records in plain["recordSet"]
        for field in records["field"]
    }
    assert fields == {
        (n, column) for n, path in files.items() for column in pq.read_schema(path).names
    }
    [records] = [one for one in plain["recordSet"] if one["@id"] == "cells"]
    cells = {field["name"]: field for field in records["field"]}
    assert cells["macs"]["description"].endswith("forward pass (MACs)")
    assert cells["ended_at"]["dataType"] == "sc:DateTime"


def test_a_table_in_two_files_is_two_record_sets(tmp_path: Path) -> None:
    store = stored(tmp_path, wide())
    store.write_merged("cells", store.trainings().slice(1))
    names = [one["@id"] for one in MADE["croissant"](tmp_path, "wide")["recordSet"]]
    assert names == ["cells", "cells-2", "epochs"]


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")
def test_mlcroissant_finds_no_fault_and_reads_each_table(folder: Path) -> None:
    mlcroissant = pytest.importorskip("mlcroissant")
    dataset = mlcroissant.Dataset(jsonld=str(folder / "croissant.json"))
    issues = dataset.metadata.ctx.issues
    assert (list(issues.errors), list(issues.warnings)) == ([], [])
    for records in dataset.metadata.record_sets:
        count = sum(1 for _ in dataset.records(records.id))
        assert count == pq.read_table(folder / records.fields[0].source.file_object).num_rows
    read = {
        (row["cells/network_id"].decode(), row["cells/seed"]): row["cells/val_acc_last"]
        for row in dataset.records("cells")
    }
    table = pq.read_table(folder / "cells")
    wanted = ("network_id", "seed", "val_acc_last")
    rows = zip(*(table[name].to_pylist() for name in wanted), strict=True)
    assert read == {(network_id, seed): value for network_id, seed, value in rows}
