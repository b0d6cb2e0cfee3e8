"""A comparison of planted studies, whole and partial, and of tables that others wrote."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from planted import cells_table, planted_accuracy, planted_store, small_study

from analysis.candidates import Candidates, candidates
from analysis.compare import compare, split_seeds
from analysis.comparison import Comparison
from analysis.picks import Picks, make_pick
from analysis.results import results_from_table
from search.rows import study_and_space_id
from search.store import Store
from search.study import Study


@pytest.fixture(scope="module")
def study() -> Study:
    return small_study(seeds=(0, 1, 2, 3, 4, 5))


@pytest.fixture(scope="module")
def among(study: Study) -> Candidates:
    return candidates(study.space)


def picks_json(study: Study, among: Candidates, **scores: np.ndarray) -> str:
    """A picks file with the primary rule and others, by their scores."""
    study_id, space_id = study_and_space_id(study)
    return Picks(
        space_id=space_id,
        study_id=study_id,
        protocol_id=study.protocol.protocol_id,
        primary_rule=study.primary_rule,
        weights=("cell",),
        network_ids=among.network_ids,
        vanilla_s=60.0,
        look_s=4.0,
        picks=tuple(
            make_pick("R2+R5" if name == "primary" else name, "rule", values, among, cost_s=64.0)
            for name, values in scores.items()
        ),
    ).to_json()


@pytest.fixture(scope="module")
def compared(study, among, tmp_path_factory) -> Comparison:
    folder = tmp_path_factory.mktemp("planted")
    store = planted_store(str(folder), study)
    truth = planted_accuracy(among)
    rng = np.random.default_rng(1)
    text = picks_json(
        study, among, primary=truth, anti=-truth, useless=rng.standard_normal(len(among))
    )
    store.storage.write("picks.json", text.encode())
    return compare(store)


def test_seeds_that_select_do_not_measure():
    assert split_seeds((0, 1, 2, 3), (0, 1, 2, 3)) == ((0, 1), (2, 3), ())
    assert split_seeds((0, 1, 2), (0, 1, 2, 100)) == ((0,), (1, 2), (100,))
    assert split_seeds((0,), (0,)) == ((0,), (0,), ())


def test_a_perfect_predictor_is_competitive_and_predicts(compared):
    primary = compared.primary
    assert primary.verdict.ranking == "predicts"
    assert primary.verdict.choice == "competitive"
    assert primary.network.scales[1:] == (4, 4)
    assert primary.regret.value == pytest.approx(0, abs=0.01)
    assert primary.tau.value > 0.7
    assert primary.hypervolume_ratio["macs"] == pytest.approx(1, abs=0.02)
    assert primary.percentile.value > 85
    assert primary.cost_ratio == pytest.approx(36 * 6 * 10 / 64)
    assert primary.break_even_trials == pytest.approx(6.4)


def test_an_anti_correlated_predictor_misleads_and_its_pick_is_worse(compared):
    anti = next(j for j in compared.judged if j.name == "anti")
    assert (anti.verdict.ranking, anti.verdict.choice) == ("misleads", "worse")
    assert anti.regret.value == pytest.approx(0.4, abs=0.02)
    assert anti.normalised_regret > 1
    assert not anti.tied


def test_a_useless_predictor_is_no_better_than_chance(compared):
    useless = next(j for j in compared.judged if j.name == "useless")
    assert useless.verdict.ranking == "no better than chance"


def test_baselines_that_saw_trainings_say_so(compared):
    seen = {j.name: j.seen for j in compared.judged if j.family == "training"}
    assert seen.keys() == {"best uniform scale", "one epoch"}
    assert all(seen.values())
    one_epoch = next(j for j in compared.judged if j.name == "one epoch")
    assert one_epoch.cost_s == pytest.approx(36 * 3 * 3.0)
    uniform = next(j for j in compared.judged if j.name == "best uniform scale")
    assert uniform.network.scales == (4, 4, 4)


def test_a_random_pick_is_the_exact_mean_over_networks(compared):
    assert compared.random.accuracy == pytest.approx(np.mean(compared.cloud_accuracy))
    assert compared.random.regret == pytest.approx(
        compared.best.accuracy.value - compared.random.accuracy
    )


def test_secondary_predictors_are_corrected_and_the_primary_is_not(compared):
    assert np.isnan(compared.primary.tau_p_holm)
    for one in compared.judged[1:]:
        raw = np.fmax(one.tau_p, one.tau_p_random_map)
        assert np.isnan(raw) or one.tau_p_holm >= raw


def test_the_comparison_is_plain_json_without_nan(compared):
    plain = json.loads(compared.to_json())
    assert plain["judged"][0]["regret"].keys() == {"value", "low", "high", "n"}
    assert plain["judged"][0]["tau_p_holm"] is None


def test_the_frontier_is_selected_on_a_and_its_reference_does_not_depend_on_results(
    compared, among
):
    macs = compared.fronts[0]
    assert macs.cost == "macs"
    assert macs.reference == (among.macs_N.max(), 1 / 8)
    assert list(macs.costs) == sorted(macs.costs)
    assert macs.hypervolume > 0


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_few_seeds_are_compared_and_get_no_verdict(among, tmp_path, seeds):
    study = small_study(seeds=seeds)
    store = planted_store(str(tmp_path), study)
    text = picks_json(study, among, primary=planted_accuracy(among))
    store.storage.write("picks.json", text.encode())
    found = compare(store)
    assert found.primary.regret.value < 0.02
    assert found.primary.verdict.choice == "undecided"
    assert "No verdict" in found.primary.verdict.reason
    assert (found.primary.verdict.seeds_needed is None) == (len(seeds) == 1)


def test_a_partial_study_is_compared_and_says_what_is_missing(study, among, tmp_path):
    store = planted_store(str(tmp_path), study, share=0.3)
    wants_the_last = planted_accuracy(among) + 0.001 * among.cells_NT[:, 0]
    text = picks_json(study, among, primary=wants_the_last)
    store.storage.write("picks.json", text.encode())
    found = compare(store)
    assert found.trained < found.networks == 36
    assert any("65 of 216 cells" in line for line in found.missing)
    assert any("The pick of R2+R5 was not trained" in line for line in found.missing)
    assert found.primary.regret.n == 0


def test_fresh_seeds_of_finalists_measure_too(study, among, tmp_path):
    store = planted_store(str(tmp_path), study)
    fresh = replace(study, seeds=(100, 101))
    rows = [i for i, cells in enumerate(among.cells_NT.tolist()) if cells[1:] == [4, 4]]
    table = cells_table(fresh, np.full((len(among), 2), 0.8)).to_pylist()
    kept = [row for row in table if row["point"] in set(among.points_N[rows].tolist())]
    store.write_merged("cells", pa.Table.from_pylist(kept, schema=table_schema()))
    text = picks_json(study, among, primary=planted_accuracy(among))
    store.storage.write("picks.json", text.encode())
    found = compare(store)
    assert found.seeds_b == (3, 4, 5, 100, 101)
    assert found.best.accuracy.n == 5
    assert found.trained == 36


def table_schema() -> pa.Schema:
    from search.schema import CELLS

    return CELLS


def test_picks_are_missed_by_the_command_that_makes_them(study, tmp_path):
    store = planted_store(str(tmp_path), study, share=0.02)
    with pytest.raises(ValueError, match="no picks here yet; make them with `stac classrepsim"):
        compare(store)


@pytest.fixture
def foreign(study, among) -> pa.Table:
    accuracy_NS = np.repeat(planted_accuracy(among)[:, None], 6, axis=1)
    return cells_table(study, accuracy_NS)


def read(table: pa.Table, study: Study, among: Candidates):
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
    assert read(table, study, among).cells == 215


def test_a_nan_accuracy_is_refused_with_its_cell(study, among, foreign):
    with pytest.raises(
        ValueError,
        match=f"val_acc_last of a complete cell must be a number, got NaN for network "
        f"{among.network_ids[1]} seed 2",
    ):
        read(changed(foreign, "val_acc_last", 8, float("nan")), study, among)


def test_a_duplicate_canonical_row_is_refused(study, among, foreign):
    with pytest.raises(ValueError, match=f"must have one canonical row, got 2 for network "
                       f"{among.network_ids[0]} seed 3"):  # fmt: skip
        read(pa.concat_tables([foreign, foreign.slice(3, 1)]), study, among)


def test_a_newer_schema_and_a_missing_column_are_refused(study, among, foreign):
    newer = foreign.replace_schema_metadata({"schema_version": "99"})
    with pytest.raises(ValueError, match="schema_version must be at most 1, got 99"):
        read(newer, study, among)
    with pytest.raises(ValueError, match="the table must have the column macs"):
        read(foreign.drop_columns(["macs"]), study, among)
    wrong = foreign.set_column(
        foreign.schema.get_field_index("seed"), "seed", pa.array(["first"] * 216)
    )
    with pytest.raises(ValueError, match="a column has another type than the schema"):
        read(wrong, study, among)


def test_failed_cells_and_other_protocols_are_left_out(study, among, foreign):
    table = changed(foreign, "status", 0, "failed")
    table = changed(table, "protocol_id", 1, "another")
    found = read(table, study, among)
    assert found.cells == 214
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
        Store(store.address).cells()
