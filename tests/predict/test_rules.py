"""Rules on maps made by hand; R6 against enumeration."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from charts import SECOND, STEP_AT_4, THIRD, chart
from hypothesis import given
from hypothesis import strategies as st
from planted import small_study

from analysis.look.classmap import Draws
from analysis.predict.baselines import reference_picks
from analysis.predict.certainty import pick_probability
from analysis.predict.rules import MACS_RATIO, RULES, best_candidate, rule_scores, within_budget
from search.study.networks import Networks, networks
from search.study.study import Study
from stacnet.cost import cost

pytestmark = pytest.mark.slow  # takes seconds


@pytest.fixture(scope="module")
def study() -> Study:
    return small_study()


@pytest.fixture(scope="module")
def among(study: Study) -> Networks:
    return networks(study.space)


@pytest.mark.parametrize(
    ("rule", "picked"),
    [
        ("R1", (4, 4, 4)),
        ("R2", (4, 4, 1)),
        ("R3", (4, 4, 0)),
        ("R4", (4, 4, 1)),
        ("R5", (4, 4, 0)),
        ("R2+R5", (4, 4, 0)),
        ("R7", (4, 4, 4)),
    ],
)
def test_each_rule_picks_what_its_sentence_says(among, rule, picked):
    made = chart(STEP_AT_4, SECOND, THIRD, last=0.3)
    best = best_candidate(rule_scores(rule, made, among), among)
    assert tuple(among.cells_NT[best]) == picked


def test_headroom_within_its_error_is_none(among):
    made = (chart(STEP_AT_4, SECOND, THIRD, last=0.94, se=se) for se in (0.005, 0.03))
    rows = [best_candidate(rule_scores("R5", one, among), among) for one in made]
    assert among.cells_NT[rows].tolist() == [[4, 4, 0], [0, 0, 0]]


def test_without_headroom_the_primary_rule_picks_vanilla(among):
    made = chart(STEP_AT_4, SECOND, THIRD, last=0.995)
    best = best_candidate(rule_scores("R2+R5", made, among), among)
    assert tuple(among.cells_NT[best]) == (0, 0, 0)


def test_a_pick_is_as_sure_as_the_draws_say(among):
    made = chart(STEP_AT_4, SECOND, THIRD, last=0.3)
    assert pick_probability("R5", made, among) is None
    steady = [Draws(r.stage, r.cells, (r.crs,) * 4, (0.3,) * 4) for r in made.readings]
    assert pick_probability("R5", replace(made, draws=tuple(steady)), among) == 1
    shaken = [d._replace(last=(0.3, 0.3, 0.3, 0.99)) for d in steady]  # once without headroom
    assert pick_probability("R5", replace(made, draws=tuple(shaken)), among) == 0.75


def test_every_rule_scores_every_network(among):
    made = chart(STEP_AT_4, SECOND, THIRD, last=0.3)
    for rule in RULES:
        scores = rule_scores(rule, made, among)
        assert scores.shape == (len(among),)
        assert np.isfinite(scores).all()


def test_a_map_without_a_scale_of_the_space_is_refused(among):
    with pytest.raises(ValueError, match="got none for 4 cells in stage 2"):
        rule_scores("R1", chart(STEP_AT_4, {1: 0.2, 8: 0.3}, THIRD, last=0.3), among)
    with pytest.raises(ValueError, match="a row for each of the network's 3 stages, got 2"):
        rule_scores("R1", chart(STEP_AT_4, SECOND, last=0.3), among)


@given(st.lists(st.integers(-5, 20).map(lambda n: n / 20), min_size=7, max_size=7))
def test_r6_is_the_exact_optimum_under_the_budget(gains):
    among = networks(small_study().space)
    values = [dict(zip((1, 2, 4, 8, 16), [*gains[:3], 0, 0], strict=True))]
    values += [{1: gains[3], 4: gains[4], 8: 0.0}, {1: gains[5], 4: gains[6]}]
    made = chart(*values, last=0.0)
    best = best_candidate(rule_scores("R6", made, among), among)
    budget = MACS_RATIO * cost(among.space.base).macs
    enumerated = max(
        sum(v[c] for v, c in zip(values, cells, strict=True) if c)
        for cells, macs in zip(among.cells_NT.tolist(), among.macs_N, strict=True)
        if macs <= budget
    )
    assert among.macs_N[best] <= budget
    reached = sum(v[c] for v, c in zip(values, among.cells_NT[best].tolist(), strict=True) if c)
    assert reached == pytest.approx(enumerated)


def test_prices_are_those_of_the_built_networks(among):
    for row in (0, 7, 20, len(among) - 1):
        counted = cost(among.specs[row])
        assert (among.macs_N[row], among.params_N[row]) == (counted.macs, counted.params)


def test_networks_over_the_bounds_of_the_space_are_left_out(study):
    bounded = replace(study.space, max_macs_ratio=1.01)
    kept = networks(bounded)
    base = cost(study.space.base).macs
    every = networks(study.space)
    expected = [n for n, m in zip(every.network_ids, every.macs_N, strict=True) if m <= 1.01 * base]
    assert 0 < len(kept) < len(every)
    assert list(kept.network_ids) == expected


def test_the_budget_ranks_dear_networks_behind_all_others(among):
    gain = np.arange(len(among), dtype=float)
    scores = within_budget(gain, among)
    over = among.macs_N > MACS_RATIO * cost(among.space.base).macs
    assert 0 < over.sum() < len(among)
    assert scores[over].max() < scores[~over].min()


def test_equal_scores_go_to_the_cheapest_network(among):
    best = best_candidate(np.zeros(len(among)), among)
    assert among.macs_N[best] == among.macs_N.min()
    assert tuple(among.cells_NT[best]) == (0, 0, 0)


def test_scale_combinations_of_the_planted_space_are_all_there(among):
    expected = set(itertools.product((0, 1, 2, 4), (0, 1, 4), (0, 1, 4)))
    assert set(map(tuple, among.cells_NT.tolist())) == expected


def test_a_stage_that_never_carries_attention_does_not_hide_the_fixed_placements(study):
    space = replace(study.space, scales=(*study.space.scales[:2], ("off",)))
    found = {pick.name: pick for pick in reference_picks(networks(space))}
    assert found.keys() == {"SE everywhere", "s=4 everywhere"}
    stages = found["s=4 everywhere"].spec["attention"]
    assert [stage and stage["scale"] for stage in stages] == [4, 4, None]
