"""Rules on maps made by hand; R6 against enumeration; picks and what refuses them."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from planted import small_study

from analysis.look.classmap import ClassRepMap, Draws, Reading
from analysis.predict.baselines import reference_picks, static_picks
from analysis.predict.certainty import pick_probability
from analysis.predict.picks import Picks, check_picks, make_pick, picks_from_json
from analysis.predict.rules import MACS_RATIO, RULES, best_candidate, rule_scores, within_budget
from search.store.rows import study_and_space_id
from search.study.networks import Networks, networks
from search.study.study import Study
from stacnet.cost import cost

NAN = float("nan")


@pytest.fixture(scope="module")
def study() -> Study:
    return small_study()


@pytest.fixture(scope="module")
def among(study: Study) -> Networks:
    return networks(study.space)


def chart(*stages: dict[int, float], last: float, se: float = 0.005) -> ClassRepMap:
    """A map with these CRS per stage and scale; retention falls with coarseness."""
    readings = []
    for stage, values in enumerate(stages):
        best, native = max(values.values()), max(values)
        for cells, crs in values.items():
            readings.append(
                Reading(
                    source="trained",
                    estimator="knn",
                    place=f"stage {stage + 1}",
                    stage=stage,
                    cells=cells,
                    native=cells == native,
                    crs=crs,
                    crs_se=se,
                    lay=0.0,
                    lay_se=se,
                    head=crs - last,
                    head_se=se,
                    gain=crs - values[1],
                    gain_se=se,
                    below_best=best - crs,
                    below_best_se=se,
                    retention=cells / native,
                    agreement=1 - 0.05 * np.log2(native / cells),
                    rank=NAN,
                    bag=NAN,
                    bag_se=NAN,
                )
            )
    return ClassRepMap(
        readings=tuple(readings), num_networks=1, num_queries=500, num_gallery=500, classes=8
    )


STEP_AT_4 = {1: 0.25, 2: 0.3, 4: 0.95, 8: 0.96, 16: 0.99}
SECOND = {1: 0.25, 4: 0.97, 8: 0.98}
THIRD = {1: 0.3, 4: 0.305}


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


def test_among_equals_the_setting_that_is_named_first_goes_before_the_cheaper_one(study) -> None:
    space = replace(study.space, kinds=("stac", "static"), kernels=(3, 1))
    among = networks(space)
    score_N = (among.cells_NT == (4, 4, 0)).all(1).astype(float)
    best = among.specs[best_candidate(score_N, among)].attention[0]
    assert best is not None
    assert (best.kind, best.kernel, best.scale) == ("stac", 3, 4)
    cheapest = min(among.macs_N[score_N == 1])
    assert cheapest < among.macs_N[best_candidate(score_N, among)]


def test_gates_that_never_look_have_no_score_and_stand_beside_the_pick(study) -> None:
    among = networks(replace(study.space, kinds=("stac", "static")))
    score_N = rule_scores("R2+R5", chart(STEP_AT_4, SECOND, THIRD, last=0.3), among)
    assert np.array_equal(np.isnan(score_N), among.is_static_N)
    primary = make_pick("R2+R5", "rule", score_N, among, cost_s=1.0)
    (twin,) = static_picks(among, primary)
    row, pick = among.row[twin.network_id], among.row[primary.network_id]
    assert among.is_static_N[row]
    assert not among.is_static_N[pick]
    assert np.array_equal(among.cells_NT[row], among.cells_NT[pick])
    assert not list(static_picks(networks(study.space), primary))


def test_headroom_may_be_measured_from_another_networks_last_layer(study, among) -> None:
    weak = chart({1: 0.1, 4: 0.3}, {1: 0.1, 4: 0.2}, {1: 0.1, 4: 0.1}, last=0.05)
    trained = chart(STEP_AT_4, SECOND, THIRD, last=0.5)
    both = replace(
        weak,
        readings=(
            *trained.readings,
            *(replace(r, source="untrained") for r in _all_scales(weak, trained)),
        ),
    )
    own = rule_scores("R2+R5", both, among, source="untrained")
    fair = rule_scores("R2+R5", both, among, source="untrained", headroom_of="trained")
    assert any(among.cells_NT[best_candidate(own, among)])
    assert not any(among.cells_NT[best_candidate(fair, among)])


def _all_scales(weak: ClassRepMap, trained: ClassRepMap) -> list[Reading]:
    """The weak map's values at every scale of the trained one."""
    values = {(r.stage, r.cells): r for r in weak.readings}
    found = []
    for reading in trained.readings:
        low = values.get((reading.stage, reading.cells), values[reading.stage, 1])
        found.append(replace(reading, crs=low.crs, head=low.head, below_best=0.3 - low.crs))
    return found


@pytest.fixture
def picks(study: Study, among: Networks) -> Picks:
    made = chart(STEP_AT_4, SECOND, THIRD, last=0.3)
    study_id, space_id = study_and_space_id(study)
    scores = rule_scores("R2+R5", made, among)
    return Picks(
        space_id=space_id,
        study_id=study_id,
        protocol_id=study.protocol.protocol_id,
        primary_rule="R2+R5",
        weights=("cell",),
        network_ids=among.network_ids,
        vanilla_s=3.0,
        look_s=1.0,
        picks=(make_pick("R2+R5", "rule", scores, among, cost_s=4.0),),
    )


def test_picks_survive_their_file(picks):
    assert picks_from_json(picks.to_json(), source="picks.json") == picks


def test_picks_of_another_space_are_refused_with_file_field_and_value(picks, among):
    with pytest.raises(
        ValueError, match=r"p\.json: space_id: picks must be made on the study's own space abc"
    ):
        check_picks(picks, space_id="abc", among=among, source="p.json")


def test_picks_that_saw_the_results_are_refused(picks, among):
    leaky = replace(picks, picks=(replace(picks.picks[0], frontier_seen="f00d"),))
    with pytest.raises(ValueError, match=r"picks\[R2\+R5\].frontier_seen: .* got f00d"):
        check_picks(leaky, space_id=picks.space_id, among=among, source="p.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"point": 5}, r"network_id: must be the network of point 5"),
        ({"scores": (1.0,)}, r"scores: must hold one score for each of 36 networks, got 1"),
    ],
)
def test_a_pick_that_contradicts_the_space_is_refused(picks, among, change, message):
    wrong = replace(picks, picks=(replace(picks.picks[0], **change),))
    with pytest.raises(ValueError, match=message):
        check_picks(wrong, space_id=picks.space_id, among=among, source="p.json")


def test_a_picks_file_with_an_unknown_field_or_a_wrong_value_names_it(picks):
    plain = json.loads(picks.to_json())
    plain.pop("checksum")  # as somebody who changes it by hand must
    with pytest.raises(ValueError, match=r"p\.json: wish: .*got 'x'"):
        picks_from_json(json.dumps(plain | {"wish": "x"}), source="p.json")
    plain["picks"][0]["point"] = "first"
    with pytest.raises(ValueError, match=r"p\.json: picks\.0\.point: .*got 'first'"):
        picks_from_json(json.dumps(plain), source="p.json")


def test_scale_combinations_of_the_planted_space_are_all_there(among):
    expected = set(itertools.product((0, 1, 2, 4), (0, 1, 4), (0, 1, 4)))
    assert set(map(tuple, among.cells_NT.tolist())) == expected


def test_a_stage_that_never_carries_attention_does_not_hide_the_fixed_placements(study):
    space = replace(study.space, scales=(*study.space.scales[:2], ("off",)))
    found = {pick.name: pick for pick in reference_picks(networks(space))}
    assert found.keys() == {"SE everywhere", "s=4 everywhere"}
    stages = found["s=4 everywhere"].spec["attention"]
    assert [stage and stage["scale"] for stage in stages] == [4, 4, None]
