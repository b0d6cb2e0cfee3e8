"""Searches replayed on a stored table with a virtual clock: nothing is trained, nothing waits.

The strategies and early stopping are the very ones that the real search uses. Shapes: R runs, T
trials, N networks.
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.judge.agreement import Interval
from search.sampling.pruner import Pruner
from search.sampling.strategy import Strategy
from search.study.training import Outcome, Training

Floats = NDArray[np.float64]
QUARTILES = [0.25, 0.5, 0.75]
NAN = float("nan")
ROUNDING = 1e-9  # a mean of accuracies that is the margin away is within it


class Target(NamedTuple):
    """Accuracies on the seeds that measure: of the best network, and of the pick.

    A network within `margin` of the best counts as found.
    """

    best: float
    pick: float
    margin: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What training a network gives, as stored.

    Args:
        values: metric -> value, what the sampler is told; `val_acc` must be there.
        truth: accuracy on the seeds that measure, share.
        curve: validation accuracy after each epoch; ends_s: seconds since the start, each.
    """

    values: dict[str, float]
    truth: float
    curve: tuple[float, ...]
    ends_s: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Step:
    """The state of a simulated search after one more trial has ended.

    Args:
        time_s: on the virtual clock.
        truth: of the network that is best so far by validation accuracy; NaN before the first.
    """

    time_s: float
    truth: float


def simulate(
    strategy: Strategy,
    table: Callable[[Training], Trial],
    *,
    pruner: Pruner,
    concurrency: int = 1,
    trials: int,
) -> Iterator[Step]:
    """One search: yields a step for every trial that ends, in the order of the virtual clock.

    Args:
        table: what a training gives.
        pruner: asked after every epoch.
        concurrency: trials at once.
        trials: how many at most.
    """
    clock = _Clock(table, pruner)
    best, truth, asked, done = -np.inf, float("nan"), 0, False
    while True:
        while not done and asked < trials and len(clock) < concurrency:
            answer = strategy.ask()
            if answer == "wait" and len(clock):
                break
            if not isinstance(answer, Training):
                done = True
                break
            clock.start(answer)
            asked += 1
        if not len(clock):
            return
        training, trial, outcome = clock.finish()
        strategy.tell(training, outcome)
        if outcome.status == "complete" and trial.values["val_acc"] > best:
            best, truth = trial.values["val_acc"], trial.truth
        yield Step(time_s=clock.now_s, truth=truth)


class _Clock:
    """Trials under way, epoch by epoch."""

    def __init__(self, table: Callable[[Training], Trial], pruner: Pruner) -> None:
        self.now_s = 0.0
        self._table = table
        self._pruner = pruner
        self._running: list[tuple[float, int, int, float, Training, Trial]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._running)

    def start(self, training: Training) -> None:
        """Begin a trial now."""
        self._push(training, self._table(training), epoch=1, began_s=self.now_s)

    def finish(self) -> tuple[Training, Trial, Outcome]:
        """Let time pass until a trial ends or is stopped."""
        while True:
            self.now_s, _, epoch, began_s, training, trial = heapq.heappop(self._running)
            curve = trial.curve[:epoch]
            if epoch == len(trial.curve):
                return training, trial, Outcome(status="complete", values=trial.values, curve=curve)
            if self._pruner.should_stop(training.training_id, curve):
                return training, trial, Outcome(status="pruned", values={}, curve=curve)
            self._push(training, trial, epoch=epoch + 1, began_s=began_s)

    def _push(self, training: Training, trial: Trial, *, epoch: int, began_s: float) -> None:
        self._count += 1
        at_s = began_s + trial.ends_s[epoch - 1]
        heapq.heappush(self._running, (at_s, self._count, epoch, began_s, training, trial))


@dataclass(frozen=True, kw_only=True)
class Replay:
    """Many simulated searches with one strategy.

    Args:
        name: of the strategy.
        runs, concurrency: how many, and trials at once.
        trials: 1 .. T.
        regret, low, high: of the best so far after each trial: median and quartiles, share.
        seconds: median time on the virtual clock after each trial.
        trials_to_match: median trials until the best so far is as good as the pick; NaN if half
            of the runs never got there.
        solved: share of the runs that got there.
        needed: of each run, trials until the best so far is within the study's margin of the best
            network; all its trials if it never is.
        trials_to_best, trials_to_best_low, trials_to_best_high: median and quartiles of these.
        found: share of the runs that got there.
        saved: trials that this start saves against the same sampler alone (analysis.replay.saved).
    """

    name: str
    runs: int
    concurrency: int
    trials: tuple[int, ...]
    regret: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    seconds: tuple[float, ...]
    trials_to_match: float
    solved: float
    needed: tuple[float, ...] = ()
    trials_to_best: float = NAN
    trials_to_best_low: float = NAN
    trials_to_best_high: float = NAN
    found: float = NAN
    saved: Interval | None = None


def summarise(
    name: str, runs: Sequence[Sequence[Step]], *, concurrency: int, target: Target
) -> Replay:
    """Anytime regret over runs."""
    num_trials = min(map(len, runs))
    steps = [run[:num_trials] for run in runs]
    truth_RT = np.array([[step.truth for step in run] for run in steps])
    time_RT = np.array([[step.time_s for step in run] for run in steps])
    return summary(name, truth_RT, time_RT, concurrency=concurrency, target=target)


def summary(
    name: str, truth_RT: Floats, time_RT: Floats, *, concurrency: int, target: Target
) -> Replay:
    """The same of runs as rows.

    Args:
        truth_RT: as in a step, after each trial; time_RT: seconds on the clock.
    """
    runs, num_trials = truth_RT.shape
    low, median, high = np.nanquantile(target.best - truth_RT, QUARTILES, axis=0)
    as_pick_R = _first(truth_RT >= target.pick)
    as_best_R = _first(truth_RT >= target.best - target.margin - ROUNDING)
    middle = float(np.median(as_pick_R))
    needed_R = np.minimum(as_best_R, num_trials)
    to_best = np.quantile(needed_R, QUARTILES).tolist()
    return Replay(
        name=name,
        runs=runs,
        concurrency=concurrency,
        trials=tuple(range(1, num_trials + 1)),
        regret=tuple(median.tolist()),
        low=tuple(low.tolist()),
        high=tuple(high.tolist()),
        seconds=tuple(np.median(time_RT, axis=0).tolist()),
        trials_to_match=middle if np.isfinite(middle) else NAN,
        solved=float(np.isfinite(as_pick_R).mean()),
        needed=tuple(needed_R.tolist()),
        trials_to_best_low=to_best[0],
        trials_to_best=to_best[1],
        trials_to_best_high=to_best[2],
        found=float(np.isfinite(as_best_R).mean()),
    )


def _first(is_there_RT: NDArray[np.bool_]) -> Floats:
    """The trial from which on it was there, from 1; infinite if it never was: (R,)."""
    return np.where(is_there_RT.any(1), is_there_RT.argmax(1) + 1.0, np.inf)
