"""Which network is picked, the controls beside it, and what refuses a file of picks."""

import json
from dataclasses import replace

import numpy as np
import pytest
from charts import SECOND, STEP_AT_4, THIRD, chart
from planted import small_study

from analysis.look.classmap import ClassRepMap, Reading
from analysis.predict.baselines import static_picks
from analysis.predict.picks import Picks, check_picks, make_pick, picks_from_json
from analysis.predict.predict import vanilla_networks
from analysis.predict.rules import best_candidate, rule_scores, with_trained_headroom
from search.store.rows import study_and_space_id
from search.store.store import Store
from search.study.networks import Networks, networks
from search.study.study import Study


@pytest.fixture(scope="module")
def study() -> Study:
    return small_study()


@pytest.fixture(scope="module")
def among(study: Study) -> Networks:
    return networks(study.space)


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
    mended = with_trained_headroom(both, source="untrained")
    fair = rule_scores("R2+R5", mended, among, source="untrained")
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


def test_a_map_without_weights_is_refused_with_the_network(tmp_path):
    store = Store(str(tmp_path))
    study = small_study()
    store.begin(study)
    with pytest.raises(ValueError, match="needs the weights of the trained vanilla network"):
        vanilla_networks(store, study)
