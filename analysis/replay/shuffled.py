"""Random search replayed without a sampler, one trial at a time: all runs at once, as arrays.

Nothing is stopped early and nothing runs beside another, so the clock is a running sum. What comes
out is what `simulate` would give (a test says so). Shapes: R runs, T trials.
"""

from collections.abc import Iterator
from itertools import chain, islice

import numpy as np

from analysis.replay.simulate import Replay, Target, summary
from analysis.replay.starts import ALONE, Start
from analysis.replay.table import Tabulated
from search.study.prior import Suggestions

MOST_TRIALS = 200  # of a simulated search


def shuffled(table: Tabulated, *, target: Target, start: Start = ALONE, runs: int = 200) -> Replay:
    """Random search from a start, quick enough for every report."""
    name_of = dict(zip(table.among.points, table.among.network_ids, strict=True))
    value_RT, truth_RT, time_RT = np.empty((3, runs, min(MOST_TRIALS, len(table.among))))
    for seed in range(runs):
        drawn = table.seeds[seed % len(table.seeds)]
        order = islice(in_order(table, start, seed=seed), MOST_TRIALS)
        trials = [table.trials[name_of[point], drawn] for point in order]
        value_RT[seed] = [trial.values["val_acc"] for trial in trials]
        truth_RT[seed] = [trial.truth for trial in trials]
        time_RT[seed] = [trial.ends_s[len(trial.curve) - 1] for trial in trials]
    best_RT = np.fmax.accumulate(value_RT, axis=1)
    before_RT = np.pad(best_RT[:, :-1], ((0, 0), (1, 0)), constant_values=-np.inf)
    newest_RT = np.where(value_RT > before_RT, np.arange(value_RT.shape[1]), 0)
    newest_RT = np.maximum.accumulate(newest_RT, axis=1)
    return summary(
        start.of("random"),
        np.take_along_axis(truth_RT, newest_RT, axis=1),
        np.cumsum(time_RT, axis=1),
        concurrency=1,
        target=target,
    )


def in_order(table: Tabulated, start: Start, *, seed: int) -> Iterator[int]:
    """All points, each once: what the start suggests, else at random."""
    suggestions = Suggestions(start.first, start.prior(table.among, seed=seed))
    rest = iter(np.random.default_rng(seed).permutation(table.among.points).tolist())
    asked: set[int] = set()
    while len(asked) < len(table.among):
        suggested = (point for point, _ in suggestions.after(len(asked)))
        point = next(point for point in chain(suggested, rest) if point not in asked)
        asked.add(point)
        yield point
