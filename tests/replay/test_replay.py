"""Searches on a virtual clock: time, order, the same strategies as the real search."""

import numpy as np
import pytest
from planted import planted_accuracy, planted_store, small_study

from analysis.judge.agreement import trials_to_match
from analysis.replay.replays import Simulation, replays, shuffled, stored_replays
from analysis.replay.simulate import Target, Trial, simulate, summarise
from analysis.replay.starts import Start
from analysis.replay.table import tabulated
from search.sampling.pruner import Never
from search.sampling.strategy import Listed
from search.study.networks import networks
from search.study.training import Training

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
    found = shuffled(table, target=target, runs=300)
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
