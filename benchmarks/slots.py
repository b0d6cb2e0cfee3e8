"""How much of their time many slots train: the real desk, ledger and sampler on a virtual clock.

Run: python benchmarks/slots.py [--slots 64 1000 10000] [--trials 100000] [--sigma 0.25]

Nothing is trained: a trial takes a log-normal time (median 10 minutes). The driver is one server:
each answer takes what it takes here, measured, and Ray Tune's own time (`--tune-s`: processor time
of the driver for a trial without work, 4 ms on 2 GHz), and slots wait for it in a queue; reports in
the middle of a trial take a share of it. Two figures: while there is something to hand out, and
over the whole run, at whose end slots must wait for the last trial whatever the engine does: so
there is a third, of an ideal engine that hands out the same trials without any wait.
"""

import argparse
import heapq
import math
import random
import tempfile
import time
from dataclasses import dataclass
from typing import Any, Literal

from search.drive.desk import Desk
from search.drive.plan import make_ledger, make_plan
from search.sampling.pruner import Never
from search.store.lease import Clock, Lease
from search.store.manifest import load_or_make
from search.store.past import past_of_run
from search.store.store import Store
from search.study.space import Scale, Space
from search.study.study import Exhaustive, Finalists, Sampled, SamplerName, Study
from stacnet.data_spec import ScaleSignal
from stacnet.protocol import Protocol
from stacnet.spec import resnet

MEDIAN_S = 600.0
Kind = Literal["exhaustive"] | SamplerName


@dataclass(frozen=True, kw_only=True)
class Load:
    """What is simulated. `sigma` is of the logarithm of a trial's time; `tune_s` of an answer."""

    slots: int
    trials: int
    kind: Kind
    sigma: float
    tune_s: float


class Virtual(Clock):
    """Time that only passes when it is told to."""

    now_s = 0.0

    def monotonic(self) -> float:
        """Seconds since the start."""
        return self.now_s

    def sleep(self, seconds: float) -> None:
        """Let them pass at once."""
        self.now_s += seconds


def study(load: Load) -> Study:
    """So many trainings: 343 networks with many seeds, or networks of a space too large to list."""
    is_listed = load.kind == "exhaustive"
    most, size = (6, 32) if is_listed else (32, 256)
    scales: tuple[Scale, ...] = ("off", *range(1, most + 1))
    return Study(
        name="slots",
        space=Space(
            base=resnet(8, width=4, input_size=size, classes=4),
            scales=(scales,) * 3,
            kernels=(3,) if is_listed else (1, 3, 5, 7),
        ),
        protocol=Protocol(data=ScaleSignal()),
        finalists=Finalists(seeds=(2**40,)),
        seeds=tuple(range(-(-load.trials // 343))) if is_listed else (0,),
        strategy=(
            Exhaustive()
            if load.kind == "exhaustive"
            else Sampled(sampler=load.kind, trials=load.trials)
        ),
    )


class Simulation:
    """A run in virtual time."""

    def __init__(self, load: Load, desk: Desk, clock: Virtual) -> None:
        self._load, self._desk, self._clock = load, desk, clock
        self._rng = random.Random(0)
        self._ends: list[tuple[float, str]] = []
        self._driver_free_s = self.driver_s = 0.0
        self.spans: list[tuple[float, float]] = []
        self.queue_empty_s = math.inf

    def run(self) -> None:
        """From the first claim to the last result."""
        names = (str(number) for number in range(self._load.slots))
        for name in names:
            if not isinstance(self._desk.claim(name), float):
                break
            self._answered(name, lambda n=name: self._desk.opened(n, 0.0))
        while self._ends:
            self._clock.now_s, name = heapq.heappop(self._ends)
            self._answered(name, lambda n=name: self._desk.reported(n, self._report()))

    def _answered(self, name: str, ask: Any) -> None:
        """The slot waits for the driver, which is busy with others, and for its answer."""
        began = time.perf_counter()
        answer = ask()
        took_s = time.perf_counter() - began + self._load.tune_s
        busy = min(len(self._desk.in_flight) / self._desk.slice_s * self._load.tune_s, 0.95)
        self.driver_s += took_s
        start_s = max(self._clock.now_s, self._driver_free_s)
        self._driver_free_s = start_s + took_s / (1 - busy)
        if answer is None or answer == "stop":
            self.queue_empty_s = min(self.queue_empty_s, self._clock.now_s)
            return
        length_s = MEDIAN_S * math.exp(self._rng.gauss(0.0, self._load.sigma))
        self.spans.append((self._driver_free_s, self._driver_free_s + length_s))
        heapq.heappush(self._ends, (self._driver_free_s + length_s, name))

    def _report(self) -> dict[str, Any]:
        values = {"val_acc": self._rng.random()}
        return {"ended": True, "status": "complete", "values": values, "curve": [], "epochs": []}

    def share(self, *, until_s: float) -> float:
        """Part of the slots' time until then that was spent in trials."""
        trained = sum(max(min(end, until_s) - start, 0.0) for start, end in self.spans)
        return trained / (self._load.slots * until_s)

    def ideal(self) -> float:
        """The share of the whole run if the same trials were handed out without any wait."""
        free = [0.0] * self._load.slots
        for start, end in self.spans:
            heapq.heapreplace(free, free[0] + end - start)
        return sum(end - start for start, end in self.spans) / (self._load.slots * max(free))


def simulated(load: Load) -> str:
    """One line of the table."""
    with tempfile.TemporaryDirectory() as out:
        store, asked, clock = Store(out), study(load), Virtual()
        store.begin(asked)
        if load.kind == "exhaustive":
            load_or_make(store.storage, asked)
        past, lease = past_of_run(store), Lease(store.storage, clock=clock)
        ledger = make_ledger(past, make_plan(past), lease.in_flight)
        desk = Desk(
            store=store, study=asked, ledger=ledger, lease=lease, pruner=Never(), watchers=[]
        )
        run = Simulation(load, desk, clock)
        began = time.perf_counter()
        run.run()
        real_s, num = time.perf_counter() - began, len(run.spans)
        assert desk.trouble is None
        assert not desk.owes()
        handing = run.share(until_s=run.queue_empty_s)
        whole = run.share(until_s=max(end for _, end in run.spans))
        return (
            f"{load.kind:<11}{load.slots:>7,}{num:>9,}{load.sigma:>7}{handing:>10.1%}"
            f"{whole:>9.1%}{run.ideal():>9.1%}"
            f"{1000 * run.driver_s / num:>11.2f}{1000 * real_s / num:>11.2f}"
        )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--slots", type=int, nargs="+", default=[64, 1000, 10_000])
    parser.add_argument("--trials", type=int, default=100_000)
    parser.add_argument("--kinds", nargs="+", default=["exhaustive", "random", "tpe"])
    parser.add_argument("--sampled-trials", type=int, default=20_000)
    parser.add_argument("--sigma", type=float, default=0.25)
    parser.add_argument("--tune-s", type=float, default=0.004)
    asked = parser.parse_args()
    print("kind         slots   trials  sigma   handing    whole    ideal  driver ms  engine ms")
    for kind in asked.kinds:
        for slots in asked.slots:
            trials = asked.trials if kind == "exhaustive" else asked.sampled_trials
            load = Load(
                slots=slots, trials=trials, kind=kind, sigma=asked.sigma, tune_s=asked.tune_s
            )
            print(simulated(load), flush=True)


if __name__ == "__main__":
    main()
