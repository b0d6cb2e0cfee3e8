"""Trials until the optimum of a table: each sampler through our wrapper and in plain Optuna.

Run: python benchmarks/samplers.py [STORE] [--runs 200] [--samplers random tpe ...] [--asha]

STORE is a finished exhaustive study; without one, a synthetic table of 96 networks with noise.
Both sides use the same Optuna sampler with the same arguments and seeds; a plain repetition counts
as the trial that it costs. With --asha, the epochs that halving saves, at what final accuracy.
"""

import argparse
import math
import random
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace

import optuna

from search.sampling.optuna_space import FlatSpace, make_sampler
from search.sampling.pruner import Halving, Never, Pruner
from search.sampling.sampler import AskTell
from search.store.store import Store
from search.study.networks import Networks
from search.study.space import Scales, Space
from search.study.study import Sampled, Study
from search.study.training import Outcome, Training
from stacnet.data_spec import ScaleSignal
from stacnet.protocol import Protocol
from stacnet.spec import resnet

Value = Callable[[int], float]


def synthetic() -> tuple[Study, dict[int, float]]:
    """96 networks whose value rises towards one corner, with noise."""
    scales: Scales = (("off", 1, 2, 4), ("off", 1, 2, 4), ("off", 1, 2, 3, 4, "native"))
    space = Space(base=resnet(8, width=4, input_size=32, classes=4), scales=scales)
    study = Study(name="synthetic", space=space, protocol=Protocol(data=ScaleSignal(), epochs=27))
    rng = random.Random(0)
    goal = (2, 1, 4)
    values = {
        point: 0.9
        - 0.02 * sum((a - b) ** 2 for a, b in zip(space.digits(point), goal, strict=False))
        + rng.gauss(0, 0.01)
        for point in range(space.size())
    }
    return study, values


def stored(path: str) -> tuple[Study, dict[int, float]]:
    """Mean validation accuracy of each network of a finished study."""
    store = Store(path)
    rows = store.trainings(["point", "status", "val_acc_last"]).to_pylist()
    seen: dict[int, list[float]] = {}
    for row in rows:
        if row["status"] == "complete" and row["point"] is not None:
            seen.setdefault(row["point"], []).append(row["val_acc_last"])
    return store.study(), {point: statistics.fmean(values) for point, values in seen.items()}


def wrapped(study: Study, among: Networks, value: Value) -> Iterator[float]:
    """Values in the order in which our wrapper finds them."""
    strategy = AskTell(study, among)
    while isinstance(training := strategy.ask(), Training):
        assert training.point is not None
        found = value(training.point)
        yield found
        strategy.tell(training, Outcome(status="complete", values={"val_acc": found}))


def plain(study: Study, among: Networks, value: Value) -> Iterator[float]:
    """The same from Optuna's own ask and tell."""
    assert isinstance(study.strategy, Sampled)
    flat, space = FlatSpace(study.space), study.space
    sampler = make_sampler(study.strategy, known=0)
    search = optuna.create_study(sampler=sampler, direction="maximize")
    for _ in range(study.strategy.trials):
        trial = search.ask(flat.distributions)
        point = among.point(space.spec(flat.point(trial.params)).network_id)
        assert point is not None
        found = value(point)
        yield found
        search.tell(trial, found)


def trials_to_best(found: Iterator[float], best: float, *, limit: int) -> int:
    """How many trials until the best value was seen; `limit` + 1 if it was not."""
    for number, value in enumerate(found, start=1):
        if value >= best:
            return number
        if number == limit:
            break
    return limit + 1


def halved(study: Study, values: dict[int, float], pruner: Pruner) -> tuple[int, float]:
    """Epochs spent on all networks in random order, and the best value among the finished."""
    assert isinstance(study.strategy, Sampled)
    rng, epochs, best = random.Random(study.strategy.sampler_seed), 0, 0.0
    for point in rng.sample(sorted(values), len(values)):
        curve: list[float] = []
        for epoch in range(1, study.protocol.epochs + 1):
            progress = 1 - 0.7 ** (8 * epoch / study.protocol.epochs)
            curve.append(values[point] * progress + rng.gauss(0, 0.01))
            epochs += 1
            if pruner.should_stop(str(point), curve):
                break
        else:
            best = max(best, values[point])
    return epochs, best


def compare(study: Study, values: dict[int, float], sampler: str, runs: int) -> None:
    """One line: medians of both sides."""
    points = {study.space.spec(point).network_id: point for point in values}
    among = Networks(study.space, tuple(points.values()), tuple(points))
    limit, best = 3 * len(among), max(values.values())
    medians, seconds = [], []
    for search in (wrapped, plain):
        began, counts = time.perf_counter(), []
        for seed in range(runs):
            plan = Sampled(sampler=sampler, trials=limit, sampler_seed=seed, concurrency=1)  # type: ignore[arg-type]
            found = search(replace(study, strategy=plan), among, lambda point: values[point])
            counts.append(trials_to_best(found, best, limit=limit))
        medians.append(statistics.median(counts))
        seconds.append((time.perf_counter() - began) / runs)
    ours, theirs = medians
    print(
        f"{sampler:10}{ours:14.1f}{theirs:14.1f}{theirs / ours:10.2f}{seconds[0]:12.2f}", flush=True
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", nargs="?")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--asha", action="store_true")
    names = ["random", "qmc", "tpe", "nsga2", "cmaes", "gp"]
    parser.add_argument("--samplers", nargs="*", default=names)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study, values = stored(arguments.store) if arguments.store else synthetic()
    print(f"{len(values)} networks, {arguments.runs} runs; median trials to the optimum")
    print(f"{'sampler':10}{'wrapped':>14}{'plain optuna':>14}{'ratio':>10}{'s/run':>12}")
    for sampler in arguments.samplers:
        compare(study, values, sampler, arguments.runs)
    if arguments.asha:
        for name, make in (("none", Never), ("asha", lambda: Halving(study.protocol.epochs))):
            runs = [
                halved(replace(study, strategy=Sampled(sampler_seed=seed)), values, make())
                for seed in range(arguments.runs)
            ]
            epochs, best = (statistics.fmean(values) for values in zip(*runs, strict=True))
            error = statistics.stdev(run[1] for run in runs) / math.sqrt(len(runs))
            print(f"{name}: {epochs:.0f} epochs, best {best:.4f} +- {error:.4f}")


if __name__ == "__main__":
    main()
