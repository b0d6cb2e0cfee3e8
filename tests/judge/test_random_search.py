"""What a random search gives, against simulated ones."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from analysis.judge.random_search import equal_cost, trials_to_match


def test_trials_to_match_is_the_mean_of_simulated_random_searches():
    rng = np.random.default_rng(0)
    accuracy = np.round(rng.random(20), 1)
    for pick in (np.sort(accuracy)[-1], np.sort(accuracy)[10]):
        simulated = [
            1 + int(np.argmax(accuracy[rng.permutation(20)] >= pick)) for _ in range(20_000)
        ]
        assert trials_to_match(accuracy, pick) == pytest.approx(np.mean(simulated), rel=0.02)
    assert np.isnan(trials_to_match(accuracy, 2.0))


@pytest.mark.parametrize("trainings", [1.4, 3.9, 30, 500])
def test_the_best_of_as_many_trainings_as_a_map_costs_is_that_of_simulated_searches(trainings):
    rng = np.random.default_rng(1)
    truth_N = rng.random(30)
    select_NA = truth_N[:, None] + rng.normal(0, 0.5, (30, 2))
    truth_N[3], select_NA[5, 1] = np.nan, np.nan  # not trained yet
    bench: Any = SimpleNamespace(select_NA=select_NA, measure_N=truth_N)
    found = equal_cost(bench, trainings)
    assert found is not None
    simulated = []
    for val_N in select_NA.T:
        known = np.flatnonzero(np.isfinite(val_N) & np.isfinite(truth_N))
        for _ in range(3000):
            drawn = rng.permutation(known)[: round(trainings)]
            simulated.append(truth_N[drawn[np.argmax(val_N[drawn])]])
    assert found.trainings == round(trainings)
    assert found.accuracy == pytest.approx(np.mean(simulated), abs=0.01)


def test_what_costs_less_than_half_a_training_has_no_search_of_equal_cost():
    bench: Any = SimpleNamespace()
    assert equal_cost(bench, 0.4) is None
    assert equal_cost(bench, float("nan")) is None
