"""What knows nothing: random maps and dealt values, against scipy and by what they let through."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from planted import graded_accuracy, small_study
from scipy import stats

from analysis.judge.nulls import Nulls, detectable_tau, settled_taus, share_at_least
from search.study.networks import Networks, networks
from search.study.space import Space


@pytest.fixture(scope="module")
def among() -> Networks:
    return networks(small_study().space)


def test_many_taus_at_once_are_scipys_with_ties():
    rng = np.random.default_rng(0)
    score_NM, accuracy_N = rng.integers(0, 5, (30, 8)).astype(float), rng.integers(0, 9, 30) / 9
    expected = [stats.kendalltau(column, accuracy_N).statistic for column in score_NM.T]
    assert settled_taus(score_NM, accuracy_N) == pytest.approx(expected, abs=1e-6)
    assert np.isnan(settled_taus(np.ones((30, 1)), accuracy_N)[0])
    score_NM[rng.integers(0, 30, 8), np.arange(8)] = np.nan  # these networks are not ranked
    for column, found in zip(score_NM.T, settled_taus(score_NM, accuracy_N), strict=True):
        at = np.isfinite(column)
        expected = stats.kendalltau(column[at], accuracy_N[at]).statistic
        assert found == pytest.approx(expected, abs=1e-6)


def test_a_tau_of_many_networks_is_close_to_that_of_a_sample_of_their_pairs():
    rng = np.random.default_rng(0)
    score_N = rng.random(500)
    accuracy_N = score_N + rng.random(500)
    found = settled_taus(score_N[:, None], accuracy_N)[0]
    assert found == pytest.approx(stats.kendalltau(score_N, accuracy_N).statistic, abs=0.02)


def test_a_map_of_one_stage_is_never_told_apart(among):
    truth_N = graded_accuracy(among)
    nulls = Nulls(among.cells_NT, truth_N, among)
    one_stage_N = among.cells_NT[:, 1].astype(float)
    assert nulls.dealt_p(one_stage_N) > 1 / 6 - 0.05  # 3 scales can be dealt in 6 ways
    assert nulls.dealt_p(truth_N) < 0.01
    assert nulls.dealt_p(-truth_N) < 0.01
    assert nulls.random_map_p(truth_N) < 0.01


def test_deals_give_each_value_to_another_scale_of_the_same_stage(among):
    nulls = Nulls(among.cells_NT, graded_accuracy(among), among)
    cells_NT = among.cells_NT[nulls.rows]
    for dealt_N in nulls.dealt_rows_MN[:20]:
        for stage in range(3):
            pairs = set(zip(cells_NT[:, stage], among.cells_NT[dealt_N, stage], strict=True))
            assert len(pairs) == len(set(cells_NT[:, stage]))


def test_a_setting_without_effect_is_dealt_too_and_networks_out_of_bounds_are_nobodys():
    base = small_study().space.base
    space = Space(base=base, scales=("off", 1, 4), reductions=(1, 4), max_params_ratio=1.5)
    among = networks(space)
    assert len(among) < space.size() - 1
    nulls = Nulls(among.cells_NT, np.arange(float(len(among))), among)
    assert nulls.dealt_rows_MN.min() == -1
    assert nulls.dealt_rows_MN.max() < len(among)
    assert 0 < nulls.dealt_p(np.arange(float(len(among)))) < 1


def test_scales_dealt_with_off_kept_tell_knowing_scales_from_liking_attention(among):
    """At equal tau: one sees where attention is, the other at which scale, too."""
    cells_NT, truth_N = among.cells_NT, graded_accuracy(among)
    nulls = Nulls(cells_NT, truth_N, among)
    assert nulls.on_scales_p(truth_N) < 0.05  # of 24 deals
    only_where_N = (cells_NT > 0).sum(1).astype(float)
    assert nulls.on_scales_p(only_where_N) == 1
    for dealt_N in nulls.on_scales_rows_MN[:20]:
        assert ((among.cells_NT[dealt_N] > 0) == (cells_NT[nulls.rows] > 0)).all()


def test_a_space_with_one_scale_deals_nothing_among_scales():
    among = networks(Space(base=small_study().space.base, scales=("off", 4)))
    nulls = Nulls(among.cells_NT, np.arange(8.0), among)
    assert np.isnan(nulls.on_scales_p(np.arange(8.0)))


def test_useless_maps_pass_as_often_as_the_level_says(among):
    rng = np.random.default_rng(0)
    nulls = Nulls(among.cells_NT, graded_accuracy(among), among)
    values = [{scale: rng.random() for scale in (0, 1, 2, 4)} for _ in range(900)]
    scores = [
        sum(
            np.vectorize(one.get)(column)
            for one, column in zip(three, among.cells_NT.T, strict=True)
        )
        for three in zip(*[iter(values)] * 3, strict=True)
    ]
    assert 0.02 < np.mean([nulls.dealt_p(score_N) <= 0.1 for score_N in scores]) < 0.15


def test_a_predictor_is_set_against_random_maps_of_the_networks_that_it_scores(among):
    """Gates that it does not rank, and that do not work, must not lower what it needs."""
    twice_NT = np.concatenate([among.cells_NT, among.cells_NT])
    truth_N = np.concatenate([graded_accuracy(among), np.full(36, 0.3)])
    scored_N = np.concatenate([graded_accuracy(among), np.full(36, np.nan)])
    both, alone = Nulls(twice_NT, truth_N), Nulls(among.cells_NT, graded_accuracy(among))
    needed = alone.needed(graded_accuracy(among), 0.025)
    assert both.needed(scored_N, 0.025) == pytest.approx(needed, abs=0.05)
    assert both.needed(np.ones(72), 0.025) < 0.75 * needed


def test_static_gates_are_dealt_no_score_of_others():
    space = replace(small_study().space, kinds=("stac", "static"))
    among = networks(space)
    truth_N = np.where(among.is_static_N, 0.3, graded_accuracy(among))
    scored_N = np.where(among.is_static_N, np.nan, graded_accuracy(among))
    nulls = Nulls(among.cells_NT, truth_N, among)
    is_static_N = among.is_static_N[nulls.rows]
    for dealt_N in nulls.dealt_rows_MN[:50]:
        is_off_N = (among.cells_NT[dealt_N] == 0).all(1)  # without a gate there is no kind
        assert (among.is_static_N[dealt_N] == is_static_N)[~is_off_N].all()
    alone = networks(small_study().space)
    as_alone = Nulls(alone.cells_NT, graded_accuracy(alone), alone)
    for p in ("dealt_p", "random_map_p"):
        assert getattr(nulls, p)(scored_N) < 0.01
        assert getattr(as_alone, p)(graded_accuracy(alone)) < 0.01


def test_more_networks_need_a_smaller_tau():
    spaces = [np.array(list(itertools.product(range(k), repeat=3))) for k in (3, 5)]
    few, many = (detectable_tau(cells_NT, level=0.025) for cells_NT in spaces)
    assert few == pytest.approx(0.62, abs=0.02)
    assert many == pytest.approx(0.43, abs=0.02)
    assert np.isnan(detectable_tau(spaces[0][:1], level=0.025))


def test_p_counts_the_predictor_itself():
    assert share_at_least(np.array([0.1, -0.5, 0.2]), 0.4) == 0.5
    assert share_at_least(np.array([0.1]), 0.4) == 0.5
    assert np.isnan(share_at_least(np.zeros(0), 0.4))
