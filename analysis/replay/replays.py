"""Any sampler replayed on a study's own results, with and without the pick as its first trial."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from multiprocessing import active_children, get_context
from typing import NamedTuple

import numpy as np
from pydantic import TypeAdapter, ValidationError

from analysis.judge.compare import compare
from analysis.judge.comparison import Comparison
from analysis.replay.simulate import Replay, Step, simulate, summarise
from analysis.replay.table import Tabulated, tabulated
from analysis.telling import Tell, counted, quietly
from search.drive.signals import end_with_parent
from search.errors import StoreError
from search.sampling.pruner import Never, make_pruner
from search.sampling.strategy import Listed
from search.store.past import Past
from search.store.store import Store
from search.study.study import Sampled, SamplerName

MOST_TRIALS = 200  # of a simulated search
CHUNKS = 20  # of runs for each process: so often is told how far it is
_ADAPTER = TypeAdapter(tuple[Replay, ...])  # pydantic stands at the JSON boundary only
FILE = "replays.json"


class Target(NamedTuple):
    """Accuracies on the seeds that measure: of the best network, and of the pick."""

    best: float
    pick: float


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """How much is simulated.

    Args:
        runs: simulated searches, each from its own seed.
        concurrency: trials at once on the virtual clock.
        workers: processes that simulate.
        tell: is told of each simulated search.
    """

    runs: int = 200
    concurrency: int = 1
    workers: int = 1
    tell: Tell = quietly


DEFAULTS = Simulation()


def replay(
    table: Tabulated,
    sampler: SamplerName,
    *,
    target: Target,
    first: Sequence[int] = (),
    plan: Simulation = DEFAULTS,
) -> Replay:
    """Many simulated searches with one of Optuna's samplers, each from its own seed.

    Args:
        first: points that are tried before the sampler is asked.
    """
    run = partial(sampled_run, table, sampler, tuple(first), plan.concurrency)
    name = f"{sampler} after the pick" if first else sampler
    watch = partial(counted, text=f"searches by {name}", total=plan.runs, tell=plan.tell)
    made = list(watch(_in_processes(run, plan) if plan.workers > 1 else map(run, range(plan.runs))))
    return summarise(name, made, concurrency=plan.concurrency, best=target.best, pick=target.pick)


def _in_processes(run: Callable[[int], list[Step]], plan: Simulation) -> Iterator[list[Step]]:
    """The runs in workers that end with this process, whatever ends it."""
    others = set(active_children())
    share = -(-plan.runs // (CHUNKS * plan.workers))
    spawn = get_context("spawn")
    with ProcessPoolExecutor(plan.workers, spawn, initializer=end_with_parent) as pool:
        try:
            yield from pool.map(run, range(plan.runs), chunksize=share)
        except KeyboardInterrupt:
            for worker in set(active_children()) - others:
                worker.kill()  # or the pool waits for its share of the runs
            raise


def sampled_run(
    table: Tabulated, sampler: SamplerName, first: tuple[int, ...], concurrency: int, seed: int
) -> list[Step]:
    """One simulated search; the strategy and the pruner are the real search's own."""
    from search.sampling.sampler import AskTell  # optuna is imported only by a replay

    plan = Sampled(
        sampler=sampler,
        trials=min(MOST_TRIALS, len(table.among)),
        scheduler=table.study.scheduler,
        sampler_seed=seed,
        concurrency=concurrency,
    )
    drawn = table.seeds[seed % len(table.seeds)]
    study = replace(table.study, seeds=(drawn,), strategy=plan)
    strategy = AskTell(study, table.among, first=first)
    pruner = make_pruner(study)
    return list(
        simulate(strategy, table, pruner=pruner, concurrency=concurrency, trials=plan.trials)
    )


def shuffled(
    table: Tabulated, *, target: Target, first: Sequence[int] = (), runs: int = 200
) -> Replay:
    """Random search without a sampler, one trial at a time: quick enough for every report."""
    made = []
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        rest = [point for point in table.among.points if point not in set(first)]
        order = [*first, *rng.permutation(rest)[: MOST_TRIALS - len(first)]]
        drawn = table.seeds[seed % len(table.seeds)]
        strategy = Listed((table.training(int(point), drawn) for point in order), number=len(order))
        made.append(list(simulate(strategy, table, pruner=Never(), trials=MOST_TRIALS)))
    name = "random after the pick" if first else "random"
    return summarise(name, made, concurrency=1, best=target.best, pick=target.pick)


def replay_study(
    store: Store,
    sampler: SamplerName,
    *,
    plan: Simulation = DEFAULTS,
    picks_file: str | None = None,
) -> tuple[Replay, ...]:
    """A sampler on a study's results, from scratch and after the pick; kept in replays.json.

    Raises:
        ValueError: too little is trained, or there are no picks.
    """
    past = Past(store)
    table, comparison = tabulated(past), compare(past, picks_file=picks_file)
    target = _target(comparison)
    pick = table.among.point(comparison.primary.network.network_id)
    starts = [(), (pick,)] if pick is not None else [()]
    made = [replay(table, sampler, target=target, first=first, plan=plan) for first in starts]
    names = {one.name for one in made}
    kept = [one for one in stored_replays(store) if one.name not in names]
    store.storage.write_json(FILE, {"replays": [asdict(one) for one in (*kept, *made)]})
    return tuple(made)


def stored_replays(store: Store) -> tuple[Replay, ...]:
    """What `stac replay` has left.

    Raises:
        StoreError: the file is damaged.
    """
    try:
        plain = store.storage.read_json(FILE)
        return _ADAPTER.validate_python(plain["replays"] if isinstance(plain, dict) else plain)
    except FileNotFoundError:
        return ()
    except (KeyError, ValidationError) as error:
        reason = " ".join(str(error).split())
        raise StoreError(f"{store.address}/{FILE}: must be replays, got {reason}") from None


def report_replays(past: Past, comparison: Comparison) -> tuple[Replay, ...]:
    """Random search with and without the pick, and the stored replays; nothing if too young."""
    try:
        table = tabulated(past)
    except ValueError:
        return ()
    target = _target(comparison)
    pick = table.among.point(comparison.primary.network.network_id)
    made = [shuffled(table, target=target)]
    if pick is not None:
        made.append(shuffled(table, target=target, first=(pick,)))
    names = {one.name for one in made}
    return (*made, *(one for one in stored_replays(past.store) if one.name not in names))


def _target(comparison: Comparison) -> Target:
    return Target(comparison.best.accuracy.value, comparison.primary.network.accuracy.value)
