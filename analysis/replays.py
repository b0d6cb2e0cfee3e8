"""Any sampler replayed on a study's own results, with and without the pick as its first trial."""

import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from multiprocessing import get_context
from typing import Literal, NamedTuple

import numpy as np
from pydantic import TypeAdapter

from analysis.agreement import mean_over_seeds
from analysis.candidates import Candidates, candidates
from analysis.compare import compare, split_seeds
from analysis.comparison import Comparison
from analysis.replay import Replay, Step, Trial, simulate, summarise
from analysis.results import COLUMNS, Results, results_from_table
from search.cells import Cell
from search.ledger import History
from search.manifest import Manifest
from search.plan import known_cells
from search.pruner import Never, make_pruner
from search.store import Store
from search.strategy import Listed
from search.study import Sampled, SamplerName, Study

EPOCH_COLUMNS = ("network_id", "protocol_id", "seed", "epoch", "cum_s")
MOST_TRIALS = 200  # of a simulated search
_ADAPTER = TypeAdapter(tuple[Replay, ...])  # pydantic stands at the JSON boundary only
FILE = "replays.json"


class Target(NamedTuple):
    """Accuracies on the seeds that measure: of the best network, and of the pick."""

    best: float
    pick: float


@dataclass(frozen=True, eq=False)
class Tabulated:
    """Stored trainings, looked up by cell.

    Args:
        study: whose they are.
        seeds: one of them is drawn for each run.
        manifest: the networks that are stored with every seed.
        trials: by network id and seed.
    """

    study: Study
    seeds: tuple[int, ...]
    manifest: Manifest
    trials: dict[tuple[str, int], Trial]

    def __call__(self, cell: Cell) -> Trial:
        """What training this cell gave."""
        return self.trials[cell.network_id, cell.seed]

    def cell(self, point: int, seed: int) -> Cell:
        """The cell at a point of the space."""
        return Cell(
            spec=self.study.space.spec(point),
            protocol_id=self.study.protocol.protocol_id,
            seed=seed,
            point=point,
        )


def tabulated(store: Store) -> Tabulated:
    """All stored trainings of a study.

    Raises:
        ValueError: fewer than two networks are trained with every seed.
    """
    study = store.study()
    among = candidates(study.space)
    results = results_from_table(
        store.cells(COLUMNS), protocol_id=study.protocol.protocol_id, known=among.network_ids
    )
    seeds = tuple(seed for seed in study.seeds if seed in results.seeds)
    manifest = _complete(among, results, seeds)
    if len(manifest) < 2:
        raise ValueError(
            f"a replay needs at least two networks trained with every seed, got {len(manifest)} "
            f"in {store.address}"
        )
    return Tabulated(study, seeds, manifest, _trials(store, results))


def _complete(among: Candidates, results: Results, seeds: Sequence[int]) -> Manifest:
    columns = [results.seeds.index(seed) for seed in seeds]
    rows = np.flatnonzero(np.isfinite(results.val_NS[:, columns]).all(1)) if columns else []
    return Manifest(
        tuple(int(among.points_N[row]) for row in rows),
        tuple(among.network_ids[row] for row in rows),
    )


def _trials(store: Store, results: Results) -> dict[tuple[str, int], Trial]:
    study = store.study()
    _, seeds_b, _ = split_seeds(study.seeds, results.seeds)
    truth_N = mean_over_seeds(results.test_NS[:, [results.seeds.index(s) for s in seeds_b]])
    ends: dict[tuple[str, int], list[float]] = {}
    for row in store.epochs(EPOCH_COLUMNS).to_pylist():
        if row["protocol_id"] == study.protocol.protocol_id:
            ends.setdefault((row["network_id"], row["seed"]), []).append(row["cum_s"] or 0.0)
    mean_s = results.device_s / results.cells
    found = {}
    final = History(store).final(study.max_attempts)
    for cell, outcome in known_cells(store, final):
        row = results.row.get(cell.network_id)
        if row is None or outcome is None or outcome.status != "complete":
            continue
        key = (cell.network_id, cell.seed)
        found[key] = Trial(
            values=outcome.values,
            truth=float(truth_N[row]),
            curve=outcome.curve or (outcome.values["val_acc"],),
            ends_s=tuple(ends.get(key, [mean_s])),
        )
    return found


def replay(
    table: Tabulated,
    sampler: SamplerName,
    *,
    target: Target,
    first: Sequence[int] = (),
    runs: int = 200,
    concurrency: int = 1,
    workers: int = 1,
) -> Replay:
    """Many simulated searches with one of Optuna's samplers, each from its own seed.

    Args:
        first: points that are tried before the sampler is asked.
        concurrency: trials at once on the virtual clock.
        workers: processes that simulate.
    """
    run = partial(sampled_run, table, sampler, tuple(first), concurrency)
    if workers == 1:
        made = [run(seed) for seed in range(runs)]
    else:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            made = list(pool.map(run, range(runs), chunksize=-(-runs // workers)))
    name = f"{sampler} after the pick" if first else sampler
    return summarise(name, made, concurrency=concurrency, best=target.best, pick=target.pick)


def sampled_run(
    table: Tabulated, sampler: SamplerName, first: tuple[int, ...], concurrency: int, seed: int
) -> list[Step]:
    """One simulated search; the strategy and the pruner are the real search's own."""
    from search.sampler import AskTell  # optuna is imported only by a replay

    plan = Sampled(
        sampler=sampler,
        trials=min(MOST_TRIALS, len(table.manifest)),
        scheduler=_scheduler(table.study),
        sampler_seed=seed,
        concurrency=concurrency,
    )
    drawn = table.seeds[seed % len(table.seeds)]
    study = replace(table.study, seeds=(drawn,), strategy=plan)
    strategy = AskTell(study, table.manifest, first=first)
    pruner = make_pruner(study)
    return list(
        simulate(strategy, table, pruner=pruner, concurrency=concurrency, trials=plan.trials)
    )


def _scheduler(study: Study) -> Literal["none", "asha", "median"]:
    return study.strategy.scheduler if isinstance(study.strategy, Sampled) else "none"


def shuffled(
    table: Tabulated, *, target: Target, first: Sequence[int] = (), runs: int = 200
) -> Replay:
    """Random search without a sampler, one trial at a time: quick enough for every report."""
    made = []
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        rest = [point for point in table.manifest.points if point not in set(first)]
        order = [*first, *rng.permutation(rest)[: MOST_TRIALS - len(first)]]
        drawn = table.seeds[seed % len(table.seeds)]
        strategy = Listed(table.cell(int(point), drawn) for point in order)
        made.append(list(simulate(strategy, table, pruner=Never(), trials=MOST_TRIALS)))
    name = "random after the pick" if first else "random"
    return summarise(name, made, concurrency=1, best=target.best, pick=target.pick)


def replay_study(
    store: Store,
    sampler: SamplerName,
    *,
    runs: int = 200,
    concurrency: int = 1,
    workers: int = 1,
    picks_file: str | None = None,
) -> tuple[Replay, ...]:
    """A sampler on a study's results, from scratch and after the pick; kept in replays.json.

    Raises:
        ValueError: too little is trained, or there are no picks.
    """
    table = tabulated(store)
    comparison = compare(store, picks_file=picks_file)
    target, pick = _target(comparison), _pick_point(table, comparison)
    starts = [(), (pick,)] if pick is not None else [()]
    made = [
        replay(
            table, sampler, target=target, first=first, runs=runs, concurrency=concurrency,
            workers=workers,
        )
        for first in starts
    ]  # fmt: skip
    names = {one.name for one in made}
    kept = [one for one in stored_replays(store) if one.name not in names]
    store.storage.write(FILE, json.dumps([asdict(one) for one in (*kept, *made)]).encode())
    return tuple(made)


def stored_replays(store: Store) -> tuple[Replay, ...]:
    """What `stac replay` has left."""
    return _ADAPTER.validate_json(store.storage.read(FILE)) if store.storage.exists(FILE) else ()


def report_replays(store: Store, comparison: Comparison) -> tuple[Replay, ...]:
    """Random search with and without the pick, and the stored replays; nothing if too young."""
    try:
        table = tabulated(store)
    except ValueError:
        return ()
    target, pick = _target(comparison), _pick_point(table, comparison)
    made = [shuffled(table, target=target)]
    if pick is not None:
        made.append(shuffled(table, target=target, first=(pick,)))
    names = {one.name for one in made}
    return (*made, *(one for one in stored_replays(store) if one.name not in names))


def _target(comparison: Comparison) -> Target:
    return Target(comparison.best.accuracy.value, comparison.primary.network.accuracy.value)


def _pick_point(table: Tabulated, comparison: Comparison) -> int | None:
    pick, names = comparison.primary.network.network_id, table.manifest.network_ids
    return table.manifest.points[names.index(pick)] if pick in names else None
