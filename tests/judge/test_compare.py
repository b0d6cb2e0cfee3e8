"""A comparison of planted studies, whole and partial, and of tables that others wrote."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from planted import (
    epochs_table,
    graded_accuracy,
    picks_json,
    planted_accuracy,
    planted_store,
    small_study,
    trainings_table,
)

from analysis.judge.bench import make_bench
from analysis.judge.compare import compare
from analysis.judge.comparison import Comparison
from analysis.judge.results import COLUMNS, results_from_table
from search.store.extras import with_finalists
from search.study.networks import Networks, networks
from search.study.seeds import split_seeds
from search.study.study import Finalists, Study
from stacnet.spec import spec_from_dict

pytestmark = pytest.mark.slow  # takes seconds


@pytest.fixture(scope="module")
def study() -> Study:
    return small_study(seeds=(0, 1, 2, 3, 4, 5))


@pytest.fixture(scope="module")
def among(study: Study) -> Networks:
    return networks(study.space)


@pytest.fixture(scope="module")
def compared(study, among, tmp_path_factory) -> Comparison:
    folder = tmp_path_factory.mktemp("planted")
    store = planted_store(str(folder), study, truth=graded_accuracy)
    truth = graded_accuracy(among)
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
    assert anti.regret.value == pytest.approx(0.5, abs=0.02)
    assert anti.normalised_regret > 1
    assert not anti.tied


def test_a_useless_predictor_is_not_told_apart_from_a_random_map(compared):
    useless = next(j for j in compared.judged if j.name == "useless")
    assert useless.verdict.ranking == "not told apart from a random map"
    assert compared.primary.tau_needed < useless.tau_needed < 1


def test_baselines_that_saw_trainings_say_so(compared):
    seen = {j.name: j.seen for j in compared.judged if j.family == "training"}
    assert seen.keys() == {"best uniform scale", "one epoch"}
    assert all(seen.values())
    one_epoch = next(j for j in compared.judged if j.name == "one epoch")
    assert one_epoch.cost_s == pytest.approx(36 * 3 * 3.0)
    uniform = next(j for j in compared.judged if j.name == "best uniform scale")
    assert uniform.network.scales == (4, 4, 4)


def test_a_random_pick_is_the_exact_mean_over_networks(compared):
    assert compared.random.accuracy == pytest.approx(np.mean(compared.cloud.accuracies))
    assert compared.random.regret == pytest.approx(
        compared.best.accuracy.value - compared.random.accuracy
    )


def test_the_predicted_front_of_an_inverted_predictor_covers_little_above_vanilla(compared):
    anti = next(j for j in compared.judged if j.name == "anti")
    assert anti.hypervolume_ratio["macs"] < 0.3


def test_secondary_predictors_are_corrected_and_the_primary_is_not(compared):
    assert np.isnan(compared.primary.tau_p_holm)
    for one in compared.judged[1:]:
        assert np.isnan(one.ranking_p) or one.tau_p_holm >= one.ranking_p


def test_the_comparison_is_plain_json_without_nan(compared):
    plain = json.loads(compared.to_json())
    assert plain["judged"][0]["regret"].keys() == {"value", "low", "high", "n"}
    assert plain["judged"][0]["tau_p_holm"] is None


def test_the_frontier_is_selected_on_a_and_starts_at_vanilla(study, among, tmp_path):
    store = planted_store(str(tmp_path), study)
    protocol_id = study.protocol.protocol_id
    results = results_from_table(
        store.trainings(COLUMNS), protocol_id=protocol_id, known=among.network_ids
    )
    bench = make_bench(study, among, results)
    front = bench.front("macs")
    vanilla = bench.measure_N[among.row[study.space.base.network_id]]
    assert front.reference == (among.macs_N.max(), vanilla)
    assert replace(bench, vanilla=None).front("macs").reference == (among.macs_N.max(), 1 / 8)
    assert list(front.costs) == sorted(front.costs)
    assert front.hypervolume > 0
    turned = replace(bench, measure_NB=1 - bench.measure_NB).front("macs")
    assert (turned.network_ids, turned.costs) == (front.network_ids, front.costs)
    assert turned.accuracies == pytest.approx([1 - accuracy for accuracy in front.accuracies])
    other = replace(bench, select_NA=1 - bench.select_NA).front("macs")
    assert other.network_ids != front.network_ids
    assert turned.reference == (front.reference[0], pytest.approx(1 - vanilla))
    assert other.reference == front.reference


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
    assert any("65 of 216 trainings" in line for line in found.missing)
    assert any("The pick of R2+R5 was not trained" in line for line in found.missing)
    assert found.primary.regret.n == 0


def test_fresh_seeds_of_finalists_measure_too(study, among, tmp_path):
    store = planted_store(str(tmp_path), study)
    fresh = replace(study, seeds=(100, 101), finalists=Finalists(seeds=(0,)))
    rows = [i for i, trainings in enumerate(among.cells_NT.tolist()) if trainings[1:] == [4, 4]]
    table = trainings_table(fresh, np.full((len(among), 2), 0.8)).to_pylist()
    kept = [row for row in table if row["point"] in {among.points[row] for row in rows}]
    fresh_trainings = pa.Table.from_pylist(kept, schema=table_schema())
    store.write_merged("cells", fresh_trainings)
    store.write_merged("epochs", epochs_table(fresh_trainings))
    text = picks_json(study, among, primary=planted_accuracy(among))
    store.storage.write("picks.json", text.encode())
    found = compare(store)
    assert found.seeds_b == (3, 4, 5, 100, 101)
    assert found.best.accuracy.n == 5
    assert found.trained == 36


def table_schema() -> pa.Schema:
    from search.store.schema import CELLS

    return CELLS


def test_picks_are_missed_by_the_command_that_makes_them(study, tmp_path):
    store = planted_store(str(tmp_path), study, share=0.02)
    with pytest.raises(ValueError, match="no picks here yet; make them with `stac classrepsim"):
        compare(store)


def test_what_the_selecting_seeds_choose_is_a_finalist(study, among, tmp_path):
    one = replace(study, seeds=tuple(range(10)), finalists=Finalists(top=1, seeds=(100,)))
    store = planted_store(str(tmp_path), one, sd=0.02)  # so that another one leads on all seeds
    text = picks_json(one, among, primary=-graded_accuracy(among))
    store.storage.write("picks.json", text.encode())
    chosen = {f.reason: spec_from_dict(f.spec) for f in with_finalists(store).finalists}
    assert chosen["selected"].network_id == compare(store).best.network_id
    assert chosen["selected"] != chosen["top 1"]
