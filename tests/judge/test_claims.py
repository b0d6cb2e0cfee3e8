"""What a comparison does not claim: a best that is the best, a gain that is none, an unseen map."""

import json
from dataclasses import replace

import numpy as np
import pytest
from planted import picks_json, planted_accuracy, planted_store, small_study

from analysis.judge.bench import make_bench
from analysis.judge.compare import compare
from analysis.judge.results import COLUMNS, results_from_table
from analysis.predict.picks import picks_from_json
from search.study.networks import Networks, networks
from search.study.seeds import seeds_to_look_at
from search.study.study import Study
from search.study.training import id_of


@pytest.fixture(scope="module")
def study() -> Study:
    return small_study(seeds=(0, 1, 2, 3, 4, 5))


@pytest.fixture(scope="module")
def among(study: Study) -> Networks:
    return networks(study.space)


def test_equal_scores_are_named_and_their_regret_owes_nothing_to_the_tie_break(
    study, among, tmp_path
):
    store = planted_store(str(tmp_path), study, sd=0.0)
    fine_N = (among.cells_NT[:, 2] == 4).astype(float)
    text = picks_json(study, among, primary=fine_N, truth=planted_accuracy(among))
    store.storage.write("picks.json", text.encode())
    primary, truth = compare(store).judged[:2]
    assert primary.tied_picks == 12
    assert primary.regret_over_ties == pytest.approx(0.2 * 2 / 3)
    assert truth.tied_picks == 4
    assert truth.regret_over_ties == pytest.approx(0)


def test_where_nothing_is_to_be_gained_a_normalised_regret_is_blank(study, among, tmp_path):
    store = planted_store(str(tmp_path), study, truth=lambda one: np.full(len(one), 0.5))
    text = picks_json(study, among, primary=planted_accuracy(among))
    store.storage.write("picks.json", text.encode())
    assert np.isnan(compare(store).primary.normalised_regret)


def test_the_best_of_all_is_within_the_bound_in_95_percent_of_studies(study, among, tmp_path):
    store = planted_store(str(tmp_path), study)
    table = store.trainings(COLUMNS)
    protocol_id = study.protocol.protocol_id
    results = results_from_table(table, protocol_id=protocol_id, known=among.network_ids)
    rng, held = np.random.default_rng(0), 0
    for _ in range(200):
        truth_N = rng.normal(0.7, 0.002, len(among))
        test_NS = truth_N[:, None] + rng.normal(0, 0.004, results.test_NS.shape)
        bench = make_bench(study, among, replace(results, test_NS=test_NS, val_NS=test_NS))
        held += truth_N.max() - truth_N[3] <= bench.bound(3)
    assert held >= 0.95 * 200


def test_a_map_looks_at_seeds_that_select_and_a_comparison_says_if_it_did_not(
    study, among, tmp_path
):
    assert seeds_to_look_at((0, 1, 2, 3), (0, 1, 2, 3, 100)) == (0, 1)
    assert seeds_to_look_at((0, 1, 2, 3), (3, 100)) == (3, 100)
    assert seeds_to_look_at((0,), (0,)) == (0,)
    store = planted_store(str(tmp_path), study)
    made = json.loads(picks_json(study, among, primary=planted_accuracy(among)))
    key = (study.space.base.network_id, study.protocol.protocol_id, 5)
    for seed, says in ((5, True), (0, False)):
        picks = picks_from_json(json.dumps(made), source="picks")
        seen = replace(picks, weights=(id_of((*key[:2], seed)),))
        store.storage.write("picks.json", seen.to_json().encode())
        found = [line for line in compare(store).missing if "seeds that measure: 5" in line]
        assert bool(found) == says
