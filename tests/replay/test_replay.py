"""Searches on a virtual clock: time, order, the same strategies as the real search."""

from dataclasses import asdict, replace

import numpy as np
import pytest
from planted import planted_accuracy, planted_store, small_study

from analysis.judge.random_search import trials_to_match
from analysis.predict.picks import Picks, make_pick
from analysis.replay.replays import Simulation, against_alone, replays, stored_replays
from analysis.replay.saved import trials_saved
from analysis.replay.shuffled import shuffled
from analysis.replay.simulate import Target, Trial, simulate, summarise
from analysis.replay.starts import ALONE, Start, is_wrong, starts
from analysis.replay.table import tabulated
from analysis.report.replay_table import DASH, replay_rows
from search.sampling.pruner import Never
from search.sampling.strategy import Listed
from search.store.rows import study_and_space_id
from search.study.networks import networks
from search.study.prior import turns
from search.study.training import Training

pytestmark = pytest.mark.slow  # some hundred searches
TWICE = Simulation(runs=2, concurrency=2)
NETWORKS = networks(small_study().space)


def training(row: int) -> Training:
    return Training(spec=NETWORKS.specs[row], protocol_id="p", seed=0, point=row)


def trial(value: float, *ends_s: float) -> Trial:
    curve = tuple(value * (i + 1) / len(ends_s) for i in range(len(ends_s)))
    return Trial(values={"val_acc": value}, truth=value, curve=curve, ends_s=ends_s)


TRIALS = {0: trial(0.5, 10.0), 1: trial(0.9, 30.0), 2: trial(0.7, 5.0), 3: trial(0.6, 5.0)}


def search(concurrency: int, *, pruner=None, trials: int = 4):
    return list(
        simulate(
            Listed((training(row) for row in range(4)), number=4),
            lambda asked: TRIALS[asked.point],
            pruner=pruner or Never(),
            concurrency=concurrency,
            trials=trials,
        )
    )


def test_one_after_the_other_the_clock_adds_up():
    steps = search(1)
    assert [step.time_s for step in steps] == [10, 40, 45, 50]
    assert [step.truth for step in steps] == [0.5, 0.9, 0.9, 0.9]


def test_with_two_at_once_trials_end_in_the_order_of_the_virtual_clock():
    steps = search(2)
    assert [step.time_s for step in steps] == [10, 15, 20, 30]
    assert [step.truth for step in steps] == [0.5, 0.7, 0.7, 0.9]


def test_a_search_ends_after_its_trials():
    assert len(search(2, trials=3)) == 3


def test_a_pruned_trial_costs_only_its_epochs_and_is_never_the_best():
    class FirstEpoch:
        def should_stop(self, training_id, curve) -> bool:
            return training_id.startswith(NETWORKS.network_ids[1])

    TRIALS_LONG = {**TRIALS, 1: trial(0.9, 10.0, 30.0)}
    steps = list(
        simulate(
            Listed((training(row) for row in range(3)), number=3),
            lambda asked: TRIALS_LONG[asked.point],
            pruner=FirstEpoch(),
            trials=3,
        )
    )
    assert [step.time_s for step in steps] == [10, 20, 25]
    assert steps[-1].truth == 0.7


def test_the_summary_counts_the_trials_that_a_run_needs_to_match_the_pick():
    found = summarise("x", [search(1), search(1)], concurrency=1, target=Target(0.9, 0.9))
    assert found.trials_to_match == 2
    assert found.solved == 1
    assert found.regret == pytest.approx((0.4, 0, 0, 0))
    never = summarise("x", [search(1)], concurrency=1, target=Target(0.9, 0.95))
    assert np.isnan(never.trials_to_match)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return tabulated(planted_store(str(tmp_path_factory.mktemp("replay")), small_study(), sd=0.0))


def test_shuffled_searches_need_the_expected_trials(table):
    accuracy = planted_accuracy(NETWORKS)
    target = Target(best=0.8, pick=0.8)
    found = shuffled(table, target=target, runs=100)
    assert found.trials[-1] == 36
    assert found.regret[-1] == pytest.approx(0)
    # 4 of 36 networks are as good: the median of the first is below its mean, 37 / 5.
    assert 5 <= found.trials_to_match <= trials_to_match(accuracy, 0.8) == 7.4


def test_the_pick_as_first_trial_is_found_at_once(table):
    best = NETWORKS.points[planted_accuracy(NETWORKS).argmax()]
    found = shuffled(table, target=Target(0.8, 0.8), start=Start(first=(best,)), runs=5)
    assert found.trials_to_match == 1
    assert found.regret[0] == pytest.approx(0)


def test_optunas_sampler_runs_through_the_searchs_own_strategy(table):
    (found,) = replays(table, "tpe", target=Target(0.8, 0.8), plan=TWICE)
    assert found.name == "tpe"
    assert len(found.trials) == 36  # every network once, none twice
    assert found.regret[-1] == pytest.approx(0)
    assert list(found.regret) == sorted(found.regret, reverse=True)
    assert replays(table, "tpe", target=Target(0.8, 0.8), plan=TWICE) == (found,)


def test_a_study_with_too_little_trained_cannot_be_replayed(tmp_path):
    store = planted_store(str(tmp_path), small_study(), share=0.02)
    with pytest.raises(ValueError, match="needs at least two networks trained with every seed"):
        tabulated(store)
    assert stored_replays(store) == ()


def starts_of_the_planted(table) -> dict[str, Start]:
    """A right prior, its controls (one wrong, one that says nothing), and what follows from it."""
    accuracy_N = planted_accuracy(NETWORKS)
    flat_N = np.full(len(NETWORKS), 0.5)
    scores = {"": accuracy_N, " on untrained": flat_N, " on permuted labels": -accuracy_N}
    study_id, space_id = study_and_space_id(table.study)
    picks = Picks(
        space_id=space_id,
        study_id=study_id,
        protocol_id=table.protocol_id,
        primary_rule="R2+R5",
        weights=(),
        network_ids=NETWORKS.network_ids,
        vanilla_s=0.0,
        look_s=0.0,
        picks=tuple(
            make_pick(f"R2+R5{on}", "rule", score_N, NETWORKS, cost_s=0.0)
            for on, score_N in scores.items()
        ),
    )
    pick = picks.picks[0].point
    return {start.label: start for start in starts(pick, picks, table.among)}


LABELS = [
    "",
    "after the pick",
    "with prior R2+R5",
    "with prior R2+R5 on untrained",
    "with prior R2+R5 on permuted labels",
    "with prior R2+R5 reversed",
]


def test_a_replay_starts_alone_after_the_pick_and_with_priors_right_and_wrong(table):
    assert list(starts_of_the_planted(table)) == LABELS
    assert [start.label for start in starts(None, None, table.among)] == [""]
    wrong = [label for label in LABELS if is_wrong(f"tpe {label}")]
    assert wrong == LABELS[3:]


def test_a_prior_holds_only_networks_of_the_table(table):
    few = table.among.only([3, 5])
    start = replace(starts_of_the_planted(table)[LABELS[2]], scores=(0.1, None))
    prior = start.prior(few, seed=0)
    assert prior is not None
    assert prior.points == (few.points[0],)


def test_a_right_prior_saves_trials_and_a_wrong_one_loses_no_more_than_its_turns(table):
    begin = starts_of_the_planted(table).values()
    target = Target(0.8, 0.8, 0.01)
    alone, pick, right, flat, permuted, against = against_alone(
        shuffled(table, target=target, start=start, runs=20) for start in begin
    )
    assert alone.saved is None
    assert pick.trials_to_best == right.trials_to_best == right.trials_to_best_high == 1
    assert right.saved is not None
    assert right.saved.value == alone.trials_to_best - 1
    assert right.saved.low > 0
    for wrong in (flat, permuted, against):
        assert wrong.saved is not None
        assert wrong.saved.value >= -turns(36)
        assert wrong.found == 1
    assert against.saved is not None
    assert against.saved.high < right.saved.low


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_a_sampler_alone_is_compared_with_the_same_one_and_a_prior(table, sampler):
    begin = [ALONE, starts_of_the_planted(table)[LABELS[2]]]
    plan = Simulation(runs=2)
    alone, right = replays(table, sampler, target=Target(0.8, 0.8), begin=begin, plan=plan)
    assert (alone.name, right.name) == (sampler, f"{sampler} with prior R2+R5")
    assert right.needed == (1, 1)
    assert right.saved is not None
    assert right.saved.value == alone.trials_to_best - 1 > 0
    assert right.trials[-1] == 36  # every network once


def test_what_is_saved_is_a_difference_of_medians_with_an_interval_over_pairs():
    rng = np.random.default_rng(0)
    alone = rng.integers(1, 60, 200).astype(float)
    saved = trials_saved(alone, alone - 0.5)
    assert saved == (0.5, 0.5, 0.5, 200)  # in pairs, so what they share has no error
    value, low, high, _ = trials_saved(alone, rng.permutation(alone))
    assert value == 0
    assert low < 0 < high
    assert trials_saved([5.0], [2.0])[0] == 3
    assert np.isnan(trials_saved([5.0], [2.0]).low)


def test_a_run_that_never_finds_the_best_counts_with_all_its_trials():
    found = summarise("x", [search(1), search(1)], concurrency=1, target=Target(0.95, 0.9))
    assert (found.trials_to_best, found.found, found.needed) == (4, 0, (4, 4))
    near = summarise("x", [search(1)], concurrency=1, target=Target(0.95, 0.9, margin=0.05))
    assert (near.trials_to_best, near.found) == (2, 1)


def test_replays_of_an_earlier_version_are_read_and_shown_with_dashes(tmp_path):
    store = planted_store(str(tmp_path), small_study())
    old = asdict(summarise("tpe", [search(1)], concurrency=1, target=Target(0.9, 0.9)))
    for name in list(old)[list(old).index("needed") :]:
        del old[name]
    store.storage.write_json("replays.json", {"replays": [old]})
    (found,) = stored_replays(store)
    (row,) = replay_rows([found])
    assert row == ("tpe", "2", "100 %", DASH, DASH, DASH, "0.00")
