"""The card of a study that ships: its SQL, with DuckDB alone, answers as `stac compare` does."""

import runpy
from math import hypot, sqrt
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.special import stdtrit

from analysis.judge.agreement import LEVEL
from analysis.judge.compare import compare
from analysis.judge.errors import measured
from search.store.shipped import SCHEME, shipped_studies
from search.store.store import Store

pytestmark = pytest.mark.slow  # takes seconds

Z = 1.959964  # normal quantile of 97.5 %
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.parametrize("name", shipped_studies())
def test_the_cards_query_names_the_best_network_with_the_error_of_a_comparison(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)  # ship.py imports its neighbour
    store = Store(f"{SCHEME}{name}")
    card = runpy.run_path(str(BENCHMARKS / "ship.py"))["card"](store, store.study())
    monkeypatch.chdir(store.address)
    (query,) = (text.split("```")[0] for text in card.split("```sql\n")[1:])
    (row,) = duckdb.sql(query).fetchall()
    network_id, _, seeds, accuracy, error_of_seeds, error_of_images = row
    best = compare(store).best
    assert (network_id, seeds) == (best.network_id, best.accuracy.n)
    assert accuracy == pytest.approx(best.accuracy.value)
    tail = (1 - LEVEL) / 2
    half = hypot(stdtrit(seeds - 1, 1 - tail) * error_of_seeds, Z * error_of_images)
    assert best.accuracy.high - best.accuracy.value == pytest.approx(half, rel=1e-6)


@pytest.mark.parametrize("num_groups", [None, 40])
def test_the_cards_errors_are_those_of_seeds_and_of_images(
    num_groups: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    seeds, images = 5, 300  # two seeds select
    groups_I = None if num_groups is None else rng.integers(num_groups, size=images)
    hard_I = rng.random(images) if groups_I is None else rng.random(40)[groups_I]
    right_SI = (rng.random((seeds, images)) > 0.8 * hard_I).astype(float)
    rows = {
        "network_id": ["good"] * seeds + ["poor"] * 2,
        "seed": [*range(seeds), 0, 1],
        "val_acc_last": [0.9] * seeds + [0.8, 0.9],
        "test_acc_last": [*right_SI.mean(1), 1.0, 1.0],
        "test_correct": [np.packbits(one == 1).tobytes() for one in (*right_SI, *right_SI[:2])],
    }
    same = {"status": "complete", "is_canonical": True, "macs": 7, "spec_json": "{}"}
    cells = rows | {name: [value] * (seeds + 2) for name, value in same.items()}
    group = pa.nulls(images, pa.int32()) if groups_I is None else pa.array(groups_I, pa.int32())
    (tmp_path / "cells").mkdir()
    pq.write_table(pa.table(cells), tmp_path / "cells" / "merged.parquet")
    pq.write_table(
        pa.table({"image": pa.array(range(images), pa.int32()), "group": group}),
        tmp_path / "test_images.parquet",
    )
    monkeypatch.chdir(tmp_path)
    text = (BENCHMARKS / "card.md").read_text().split("```sql")[1].split("```")[0]
    (row,) = duckdb.sql(text.format(select="0, 1", num_select=2)).fetchall()
    wanted = measured(right_SI[2:].mean(1), right_SI[2:], groups_I)
    assert (row[0], row[2]) == ("good", 3)
    found = (wanted.value, sqrt(wanted.seeds_var), sqrt(wanted.images_var))
    assert row[3:] == pytest.approx(found)
    assert wanted.images_var > 1e-5
