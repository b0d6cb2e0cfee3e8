"""Random searches as arrays: what the virtual clock gives, trial by trial."""

from dataclasses import replace

import numpy as np
import pytest
from planted import planted_store, small_study

from analysis.replay.shuffled import in_order, shuffled
from analysis.replay.simulate import Target, simulate, summarise
from analysis.replay.starts import ALONE, Start
from analysis.replay.table import tabulated
from search.sampling.pruner import Never
from search.sampling.strategy import Listed

STARTS = [
    ALONE,
    Start(label="after the pick", first=(7,)),
    Start(label="with prior R1", scores=tuple(float(number % 5) for number in range(36))),
]


@pytest.mark.parametrize("start", STARTS, ids=lambda start: start.label or "alone")
def test_shuffled_searches_are_those_of_the_clock(tmp_path, start):
    rng = np.random.default_rng(0)
    stored = tabulated(planted_store(str(tmp_path), small_study()))
    noisy = {
        key: replace(one, values={"val_acc": rng.integers(9) / 10}, ends_s=rng.random(3).cumsum())
        for key, one in stored.trials.items()  # coarse, so that there are ties
    }
    table = replace(stored, trials=noisy)
    runs = []
    for seed in range(5):
        drawn = table.seeds[seed % len(table.seeds)]
        trainings = [table.training(at, drawn) for at in in_order(table, start, seed=seed)]
        strategy = Listed(trainings, number=len(trainings))
        runs.append(list(simulate(strategy, table, pruner=Never(), trials=len(trainings))))
    target = Target(0.8, 0.75, 0.01)
    wanted = summarise(start.of("random"), runs, concurrency=1, target=target)
    assert shuffled(table, target=target, start=start, runs=5) == wanted
