"""A prior has turns that decay, whatever the sampler; a right one saves trials, a wrong one few."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ninety_six import among, done, study

from search.errors import StoreError, StudyError
from search.sampling.sampler import AskTell
from search.store.extras import Extras, read_extras, write_extras
from search.store.hints import Hints, prior_of
from search.store.sealed import seal
from search.store.storage import Storage
from search.study.networks import networks
from search.study.prior import BETA, Prior, ranked, turns
from search.study.study import Exhaustive, SamplerName, Study
from search.study.training import Outcome, Training

pytestmark = pytest.mark.slow  # some hundred searches
POINTS = among().points
TRUTH = [sum(study().space.digits(point)[:3]) for point in POINTS]  # best at the last point
BEST = POINTS[int(np.argmax(TRUTH))]


def prior(scores: list[float | None], *, name: str = "R1", seed: int = 0) -> Prior:
    return ranked(name, POINTS, scores, seed=seed)


RIGHT, WRONG = prior(list(TRUTH)), prior([-score for score in TRUTH])


def asked(strategy: AskTell) -> Iterator[Training]:
    """One at a time, each told at once."""
    while isinstance(training := strategy.ask(), Training):
        yield training
        strategy.tell(training, done(training))


def trials_to_best(sampler: SamplerName, given: Prior | None, *, seed: int) -> int:
    plan = study(sampler)
    strategy = replace(plan.strategy, sampler_seed=seed)  # type: ignore[type-var]
    search = AskTell(replace(plan, strategy=strategy), among(), prior=given)
    return next(i for i, training in enumerate(asked(search), 1) if training.point == BEST)


@given(trials=st.integers(0, 10**6))
def test_turns_never_exceed_the_bound_and_come_at_the_rate(trials: int) -> None:
    assert turns(trials) <= BETA * math.log1p(trials / BETA) + 1
    assert turns(trials + 1) - turns(trials) in (0, 1)
    assert turns(2 * trials + 200) - turns(trials + 100) <= BETA * math.log(2) + 1


@pytest.mark.parametrize("sampler", get_args(SamplerName))
def test_every_sampler_gives_the_prior_its_turns_and_no_more(sampler: SamplerName) -> None:
    """Also when many are asked for before the first is told: the turns are counted by asks."""
    strategy = AskTell(study(sampler, trials=25), among(), prior=WRONG)
    batch = [strategy.ask() for _ in range(8)]
    ours = [training for training in batch if isinstance(training, Training)]
    for training in ours:
        strategy.tell(training, done(training))
    ours += asked(strategy)
    assert len({training.network_id for training in ours}) == len(ours) == 25
    for trials in (8, 16, 25):
        by = [training.suggested_by for training in ours[:trials]]
        assert by.count("prior R1") == turns(trials)
        assert sum("Sampler(" in text for text in by) == trials - turns(trials)


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_a_right_prior_saves_trials_and_a_wrong_one_costs_few(sampler: SamplerName) -> None:
    runs = range(15)
    alone = [trials_to_best(sampler, None, seed=seed) for seed in runs]
    assert max(trials_to_best(sampler, RIGHT, seed=seed) for seed in runs) == 1
    assert median(alone) > 10
    wrong = [trials_to_best(sampler, WRONG, seed=seed) for seed in runs]
    assert median(wrong) - median(alone) <= turns(96)


def test_a_wrong_prior_delays_a_random_search_by_no_more_than_its_turns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("search.sampling.sampler.REASKS", 10_000)  # the sampler's draws only
    for seed in range(10):
        wrong = trials_to_best("random", WRONG, seed=seed)
        assert wrong - turns(wrong) <= trials_to_best("random", None, seed=seed)


def test_the_best_scored_come_first_and_no_network_twice() -> None:
    strategy = AskTell(study("random"), among(), first=[BEST, 3], prior=RIGHT)
    trainings = list(asked(strategy))
    assert [training.point for training in trainings[:2]] == [BEST, 3]
    assert {training.suggested_by for training in trainings[:2]} == {"warm start"}
    priors = [t.point for t in trainings if t.suggested_by == "prior R1"]
    own = [t.point for t in trainings if "Sampler(" in t.suggested_by]
    before = {trainings[i].point: i for i in range(96)}
    for point, then in zip(RIGHT.points[1:], priors, strict=False):
        assert point == then or before[point] < before[then]
    assert not set(priors) & set(own)


@pytest.mark.parametrize("sampler", get_args(SamplerName))
def test_a_resumed_search_gives_the_prior_the_turns_and_networks_of_an_unbroken_one(
    sampler: SamplerName,
) -> None:
    plan, known = study(sampler, trials=18), []
    unbroken = asked(AskTell(plan, among(), prior=WRONG))
    for number, training in enumerate(unbroken):
        if number in (1, 3, 8, 15):
            begun = [*known, (training, None)]
            for past, now in ((known, number), (begun, number + 1)):
                answer = AskTell(plan, among(), known=past, prior=WRONG).ask()
                assert isinstance(answer, Training)
                is_priors = turns(now + 1) > turns(now)
                assert (answer.suggested_by == "prior R1") == is_priors
                if now == number and is_priors:
                    assert answer == training
        known.append((training, done(training)))


def test_all_seeds_of_a_network_name_who_suggested_it_also_after_a_resume() -> None:
    two = replace(study("random"), seeds=(0, 1))
    first = AskTell(two, among(), prior=RIGHT).ask()
    assert isinstance(first, Training)
    again = AskTell(two, among(), known=[(first, done(first))], prior=RIGHT).ask()
    assert isinstance(again, Training)
    assert again == replace(first, seed=1)


def test_failures_of_its_networks_do_not_stop_it() -> None:
    strategy = AskTell(study("tpe", concurrency=1), among(), prior=RIGHT)
    seen = []
    while isinstance(training := strategy.ask(), Training):
        seen.append(training)
        strategy.tell(training, Outcome(status="failed", values={}))
    assert len(seen) == 96
    assert [t.suggested_by for t in seen].count("prior R1") == turns(96)


def test_only_the_order_of_scores_counts_and_one_without_a_finite_score_is_never_the_priors():
    huge: list[float | None] = [1e300 * score / 11 for score in TRUTH]
    assert prior(huge) == RIGHT
    silent = [math.nan, math.inf, -math.inf, None, 1e300, -1e300, 0.0, 1.0] + [None] * 88
    points = prior(silent).points
    assert points == tuple(POINTS[i] for i in (4, 7, 6, 5))
    some = AskTell(study("random"), among(), prior=prior(silent))
    own = [t.point for t in asked(some) if t.suggested_by == "prior R1"]
    assert set(own) <= set(points)


def test_equal_scores_stand_in_a_random_order_that_the_seed_repeats() -> None:
    flat: list[float | None] = [0.5] * 96
    assert sorted(prior(flat).points) == sorted(POINTS)
    assert prior(flat) == prior(flat)
    assert prior(flat) != prior(flat, seed=1)
    assert prior(flat).points != POINTS


def test_a_space_of_one_network_with_a_prior_ends() -> None:
    space = replace(study().space, scales=(("off",), ("off",), (2,)))
    one = replace(study("random", trials=5), space=space)
    among_one = networks(space)
    given = ranked("R1", among_one.points, [math.pi], seed=0)
    (training,) = asked(AskTell(one, among_one, prior=given))
    assert training.suggested_by == "prior R1"


def picks(**change: object) -> str:
    """What the door reads of picks.json."""
    one = {"name": "R2+R5", "scores": TRUTH}
    other = {"name": "R1 on pixels", "scores": [None] * 96}
    return seal({"network_ids": among().network_ids, "picks": [one, other]} | change)


def test_the_primary_rule_is_the_prior_unless_another_predictor_is_named(tmp_path: Path) -> None:
    file = tmp_path / "picks.json"
    better = {"name": "R1 on pixels", "scores": [-score for score in TRUTH]}
    file.write_text(picks(picks=[{"name": "R2+R5", "scores": TRUTH}, better]))
    assert Hints(prior=str(file)).read(study())["prior"].points == RIGHT.points
    assert Hints(prior=f"{file}:R1 on pixels").read(study())["prior"].points == WRONG.points


@pytest.mark.parametrize(
    ("change", "predictor", "rule"),
    [
        ({"network_ids": ["another"]}, "", "network_ids: a prior must be of the 96 networks .* 1"),
        ({"picks": []}, "", r"a prior must be one of \[\], got 'R2\+R5'"),
        ({}, "R9", "a prior must be one of .*got 'R9'"),
        ({}, "R1 on pixels", "R1 on pixels: a prior must score a network"),
        ({"picks": [{"name": "R2+R5"}]}, "", "a prior must be picks.json, got KeyError"),
        ({"picks": [{"name": "R2+R5", "scores": TRUTH[1:]}]}, "", "scores must be a number"),
        ({"picks": [{"name": "R2+R5", "scores": ["a"] * 96}]}, "", "scores must be a number"),
        ({"picks": [{"name": "R2+R5", "scores": 3}]}, "", "scores must be a number"),
        ({"picks": 3}, "", "a prior must be picks.json, got TypeError"),
    ],
)
def test_what_is_no_prior_of_the_study_is_refused(change: dict, predictor: str, rule: str) -> None:
    with pytest.raises(StudyError, match=rule):
        prior_of(study(), picks(**change), predictor, source="p.json")


def test_a_prior_of_no_study_that_samples_is_refused() -> None:
    listed: Study = replace(study(), strategy=Exhaustive())
    with pytest.raises(StudyError, match="only a sampled study can have a prior, got exhaustive"):
        prior_of(listed, picks(), source="p.json")
    with pytest.raises(StudyError, match=r"a prior must be picks\.json, got TypeError"):
        prior_of(study(), "[]", source="p.json")
    with pytest.raises(StoreError, match="must be JSON"):
        prior_of(study(), "{", source="p.json")


def read_back(folder: Path, given: Prior) -> Prior | None:
    storage = Storage(folder)
    write_extras(storage, Extras(prior=given))
    return read_extras(storage).prior


@pytest.mark.parametrize("make", [lambda: RIGHT, lambda: Prior(predictor="x", points=())])
def test_the_extras_keep_the_prior(tmp_path: Path, make: Callable[[], Prior]) -> None:
    assert read_back(tmp_path, make()) == make()
