"""Every sampler behind our ask and tell keeps the same contract; a search is simulated, not run."""

import math
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import get_args

import pytest
from ninety_six import among, done, study, value

from search.sampling.optuna_space import FlatSpace
from search.sampling.sampler import AskTell
from search.study.networks import networks
from search.study.study import Objective, SamplerName
from search.study.training import Outcome, Training

pytestmark = pytest.mark.slow  # fits models
SAMPLERS = get_args(SamplerName)


def simulate(strategy: AskTell, *, seed: int = 0, concurrency: int = 8) -> Iterator[Training]:
    """Trainings in the order in which they end, at random among those that run."""
    rng, running = random.Random(seed), []
    while True:
        answer = strategy.ask()
        while isinstance(answer, Training):
            running.append(answer)
            assert len({training.network_id for training in running}) <= concurrency
            answer = strategy.ask()
        if not running:
            assert answer == "done"
            return
        training = running.pop(rng.randrange(len(running)))
        yield training
        strategy.tell(training, done(training))


@pytest.mark.parametrize("sampler", SAMPLERS)
class TestEverySampler:
    """The contract; a new sampler joins by its name in `SamplerName`."""

    def test_trains_no_network_twice_and_visits_all_of_a_small_space(
        self, sampler: SamplerName
    ) -> None:
        scales = (("off", 1, 2), ("off", 1, 2), ("off", 1, 2, 4))
        small = replace(study(sampler), space=replace(study().space, scales=scales))
        listed = networks(small.space)
        visited = [c.network_id for c in simulate(AskTell(small, listed))]
        assert len(visited) == 36
        assert set(visited) == set(listed.network_ids)

    def test_stops_at_its_number_of_trials(self, sampler: SamplerName) -> None:
        assert len(list(simulate(AskTell(study(sampler, trials=15), among())))) == 15

    def test_ends_when_the_space_is_exhausted(self, sampler: SamplerName) -> None:
        trainings = list(simulate(AskTell(study("random"), among())))
        known = [(training, done(training)) for training in trainings[:90]]
        rest = simulate(AskTell(study(sampler, trials=500), among(), known=known))
        assert {training.key for training in rest} == {training.key for training in trainings[90:]}

    def test_goes_on_from_what_is_known_and_repeats_none_of_it(self, sampler: SamplerName) -> None:
        trainings = list(simulate(AskTell(study("random", trials=40), among())))
        known = [(training, done(training)) for training in trainings[:30]] + [
            (c, None) for c in trainings[30:34]
        ]
        again = AskTell(study(sampler, trials=44), among(), known=known)
        for begun in trainings[30:34]:
            again.tell(begun, done(begun))
        fresh = [training.network_id for training in simulate(again)]
        assert len(fresh) == 44 - 34
        assert not set(fresh) & {training.network_id for training in trainings[:34]}

    def test_survives_networks_that_fail_diverge_or_give_nan(self, sampler: SamplerName) -> None:
        strategy = AskTell(study(sampler, trials=25, concurrency=1), among())
        ends = [
            Outcome(status="failed", values={}),
            Outcome(status="diverged", values={}, curve=(0.1,)),
            Outcome(status="oom", values={}),
            Outcome(status="complete", values={"val_acc": math.nan}),
        ]
        asked = []
        while isinstance(training := strategy.ask(), Training):
            asked.append(training.network_id)
            strategy.tell(training, ends[len(asked) % 5] if len(asked) % 5 < 4 else done(training))
        assert len(set(asked)) == len(asked) == 25

    def test_records_its_class_and_arguments(self, sampler: SamplerName) -> None:
        training = AskTell(study(sampler), among()).ask()
        assert isinstance(training, Training)
        assert "Sampler(" in training.suggested_by
        assert "seed=0" in training.suggested_by


@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if name != "cmaes"])
def test_several_objectives_are_told_together(sampler: SamplerName) -> None:
    objectives = (Objective(), Objective(metric="macs", direction="minimize"))
    strategy = AskTell(replace(study(sampler, trials=20), objectives=objectives), among())
    assert len({training.network_id for training in simulate(strategy)}) == 20
    assert len(strategy.told()[0].values) == 2


def test_a_pruned_network_is_told_with_its_curve_and_without_a_final_value() -> None:
    strategy = AskTell(study(), among())
    training = strategy.ask()
    assert isinstance(training, Training)
    strategy.tell(training, Outcome(status="pruned", values={"val_acc": 0.4}, curve=(0.2, 0.4)))
    (trial,) = strategy.told()
    assert trial.state.name == "PRUNED"
    assert trial.intermediate_values == {1: 0.2, 2: 0.4}


def test_a_network_with_two_seeds_is_one_trial_told_their_mean() -> None:
    two = replace(study(trials=5), seeds=(0, 10))
    strategy = AskTell(two, among())
    trainings = list(simulate(strategy))
    assert len(trainings) == 10
    trials = strategy.told()
    assert len(trials) == 5
    first = trainings[0]
    means = [trial.value for trial in trials]
    assert any(math.isclose(value(replace(first, seed=0)) + 0.005, mean) for mean in means)


def test_networks_that_are_not_listed_are_never_asked_for() -> None:
    cheap = among().network_ids[:10]
    bounded = replace(study(), space=replace(study().space, max_macs_ratio=1.5))
    few = among().only(range(10))
    for one in (bounded, study()):  # a replay knows but those that were trained
        assert {training.network_id for training in simulate(AskTell(one, few))} == set(cheap)


def test_warm_start_points_come_first() -> None:
    strategy = AskTell(study(), among(), first=[95, 17])
    asked = [strategy.ask(), strategy.ask()]
    assert [training.point for training in asked if isinstance(training, Training)] == [95, 17]


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_a_model_is_fitted_to_the_best_and_the_latest_results_only(
    sampler: SamplerName, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.sampling.sampler.MEMORY", 12)
    strategy = AskTell(study(sampler, trials=48), among())
    values, most = [], 0
    for training in simulate(strategy):
        values.append(value(training))
        remembered = {trial.value for trial in strategy.told() if trial.value is not None}
        most = max(most, len(strategy.told()))
        if len(values) > 1:  # the last one is told after this
            assert max(values[:-1]) in remembered
            assert values[-2] in remembered
    assert len(values) == 48
    assert 12 < most <= 2 * 12 + 8 + 3  # eight are told after the last ask, and repeats


def test_with_several_objectives_the_front_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.sampling.sampler.MEMORY", 12)
    objectives = (Objective(), Objective(metric="macs", direction="minimize"))
    strategy = AskTell(replace(study("tpe"), objectives=objectives), among())
    values = [value(training) for training in simulate(strategy)]
    assert len(values) == 96
    assert max(values[:-1]) in {trial.values[0] for trial in strategy.told() if trial.values}


def test_points_and_optuna_parameters_are_a_bijection() -> None:
    space = replace(study().space, pools=("avg", "max"), placements=("all", "last"))
    flat = FlatSpace(space)
    for point in range(0, space.size(), 7):
        assert flat.point(flat.params(point)) == point
