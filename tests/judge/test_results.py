"""Tables of results that others wrote: read, or refused with the rule and the value."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from planted import planted_accuracy, planted_store, small_study, trainings_table

from analysis.judge.results import results_from_table
from search.store.schema import SCHEMA_VERSION
from search.store.store import Store
from search.study.networks import Networks, networks
from search.study.study import Study


@pytest.fixture(scope="module")
def study() -> Study:
    return small_study(seeds=(0, 1, 2, 3, 4, 5))


@pytest.fixture(scope="module")
def among(study: Study) -> Networks:
    return networks(study.space)


@pytest.fixture
def foreign(study, among) -> pa.Table:
    accuracy_NS = np.repeat(planted_accuracy(among)[:, None], 6, axis=1)
    return trainings_table(study, accuracy_NS)


def read(table: pa.Table, study: Study, among: Networks):
    return results_from_table(
        table, protocol_id=study.protocol.protocol_id, known=among.network_ids
    )


def changed(table: pa.Table, name: str, row: int, value: object) -> pa.Table:
    values = table[name].to_pylist()
    values[row] = value
    at = table.schema.get_field_index(name)
    return table.set_column(
        at, table.schema.field(name), pa.array(values, table.schema.field(name).type)
    )


def test_a_table_written_by_someone_else_is_analysed(study, among, foreign, tmp_path):
    path = Path(tmp_path) / "theirs.parquet"
    names = ["seed", "network_id", "protocol_id", "status", "spec_json", "params", "macs"]
    names += ["latency_s", "val_acc_last", "test_acc_last", "device_s"]
    theirs = foreign.select(names[::-1]).take(np.random.default_rng(0).permutation(216))
    pq.write_table(theirs.replace_schema_metadata(None), path)
    found = read(pq.read_table(path), study, among)
    assert found.val_NS[:, 0] == pytest.approx(planted_accuracy(among))
    assert found.macs_N.tolist() == among.macs_N.tolist()


def test_an_unknown_network_is_refused(study, among, foreign):
    with pytest.raises(ValueError, match="got unknown network 0123456789abcdef"):
        read(changed(foreign, "network_id", 5, "0123456789abcdef"), study, among)


def test_a_network_outside_the_space_that_is_what_it_says_is_left_out(study, among, foreign):
    outside = replace(study.space.base, widths=(6, 12, 24))
    table = changed(foreign, "network_id", 5, outside.network_id)
    table = changed(table, "spec_json", 5, json.dumps(outside.to_dict()))
    assert read(table, study, among).trainings == 215


def test_a_nan_accuracy_is_refused_with_its_training(study, among, foreign):
    with pytest.raises(
        ValueError,
        match=f"val_acc_last of a complete training must be a number, got NaN for network "
        f"{among.network_ids[1]} seed 2",
    ):
        read(changed(foreign, "val_acc_last", 8, float("nan")), study, among)


def test_a_duplicate_canonical_row_is_refused(study, among, foreign):
    with pytest.raises(ValueError, match=f"must have one canonical row, got 2 for network "
                       f"{among.network_ids[0]} seed 3"):  # fmt: skip
        read(pa.concat_tables([foreign, foreign.slice(3, 1)]), study, among)


def test_a_newer_schema_and_a_missing_column_are_refused(study, among, foreign):
    newer = foreign.replace_schema_metadata({"schema_version": "99"})
    with pytest.raises(ValueError, match=f"version must be at most {SCHEMA_VERSION}, got 99"):
        read(newer, study, among)
    with pytest.raises(ValueError, match="the table must have the column macs"):
        read(foreign.drop_columns(["macs"]), study, among)
    wrong = foreign.set_column(
        foreign.schema.get_field_index("seed"), "seed", pa.array(["first"] * 216)
    )
    with pytest.raises(ValueError, match="a column has another type than the schema"):
        read(wrong, study, among)


def test_failed_trainings_and_other_protocols_are_left_out(study, among, foreign):
    table = changed(foreign, "status", 0, "failed")
    table = changed(table, "protocol_id", 1, "another")
    found = read(table, study, among)
    assert found.trainings == 214
    assert np.isnan(found.val_NS[0, :2]).all()


def test_a_table_without_test_accuracy_is_judged_on_validation(study, among, foreign):
    at = foreign.schema.get_field_index("test_acc_last")
    table = foreign.set_column(at, foreign.schema.field(at), pa.nulls(216, pa.float64()))
    found = read(table, study, among)
    assert not found.has_test
    assert found.test_NS is found.val_NS


def test_the_store_of_a_newer_version_is_refused(study, tmp_path, foreign):
    store = planted_store(str(tmp_path), study, share=0.02)
    newer = foreign.replace_schema_metadata({"schema_version": "99", "table": "cells"})
    pq.write_table(newer, tmp_path / "cells" / "merged-newer.parquet")
    with pytest.raises(ValueError, match="99"):
        Store(store.address).trainings()
