"""The samplers of a study replayed on its own results, with and without the pick as a start."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from analysis.agreement import mean_over_seeds
from analysis.candidates import Candidates, candidates
from analysis.compare import split_seeds
from analysis.comparison import Comparison
from analysis.replay import Replay, Step, Trial, simulate, summarise
from analysis.results import COLUMNS, Results, results_from_table
from search.cells import Cell
from search.pruner import Never
from search.store import Store
from search.strategy import Listed
from search.study import Study

EPOCH_COLUMNS = ("network_id", "protocol_id", "seed", "epoch", "val_acc", "cum_s")


@dataclass(frozen=True, eq=False)
class Tabulated:
    """Stored trainings, looked up by cell.

    Args:
        trials: by network id and seed.
        complete: rows of `among` whose every study seed is stored.
    """

    study: Study
    among: Candidates
    trials: dict[tuple[str, int], Trial]
    complete: tuple[int, ...]

    def __call__(self, cell: Cell) -> Trial:
        """What training this cell gave."""
        return self.trials[cell.network_id, cell.seed]

    def cell(self, row: int, seed: int) -> Cell:
        """The cell of a candidate."""
        return Cell(
            spec=self.among.specs[row],
            protocol_id=self.study.protocol.protocol_id,
            seed=seed,
            point=int(self.among.points_N[row]),
        )


def tabulated(store: Store) -> Tabulated:
    """All stored trainings of a study.

    Raises:
        ValueError: nothing was trained.
    """
    study = store.study()
    among = candidates(study.space)
    results = results_from_table(
        store.cells(COLUMNS), protocol_id=study.protocol.protocol_id, known=among.network_ids
    )
    if not results.cells:
        raise ValueError(f"a replay needs trained networks, got none in {store.address}")
    curves: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for row in store.epochs(EPOCH_COLUMNS).to_pylist():
        if row["protocol_id"] == study.protocol.protocol_id:
            point = (row["val_acc"], row["cum_s"] or 0.0)
            curves.setdefault((row["network_id"], row["seed"]), []).append(point)
    return Tabulated(study, among, dict(_trials(study, results, curves)), _complete(study, results))


def _trials(
    study: Study, results: Results, curves: dict[tuple[str, int], list[tuple[float, float]]]
) -> Iterator[tuple[tuple[str, int], Trial]]:
    _, seeds_b, _ = split_seeds(study.seeds, results.seeds)
    measured = [results.seeds.index(seed) for seed in seeds_b]
    truth_N = mean_over_seeds(results.test_NS[:, measured])
    mean_s = results.device_s / results.cells
    for row, network_id in enumerate(results.network_ids):
        for column, seed in enumerate(results.seeds):
            value = float(results.val_NS[row, column])
            if np.isfinite(value):
                curve = curves.get((network_id, seed)) or [(value, mean_s)]
                yield (
                    (network_id, seed),
                    Trial(
                        value=value,
                        truth=float(truth_N[row]),
                        curve=tuple(accuracy for accuracy, _ in curve),
                        ends_s=tuple(end_s for _, end_s in curve),
                        macs=float(results.macs_N[row]),
                        params=float(results.params_N[row]),
                    ),
                )


def _complete(study: Study, results: Results) -> tuple[int, ...]:
    columns = [results.seeds.index(s) for s in study.seeds if s in results.seeds]
    return tuple(np.flatnonzero(np.isfinite(results.val_NS[:, columns]).all(1)).tolist())


def random_cells(
    table: Tabulated, *, first: Sequence[int], rng: np.random.Generator
) -> Iterator[Cell]:
    """Every complete candidate once, in random order after the given first ones, one seed each."""
    order = rng.permutation([row for row in table.complete if row not in set(first)])
    seeds = [seed for seed in table.study.seeds if (_any_id(table), seed) in table.trials]
    for row in (*first, *order):
        yield table.cell(int(row), int(rng.choice(seeds)))


def _any_id(table: Tabulated) -> str:
    return table.among.network_ids[table.complete[0]]


def replay_all(store: Store, comparison: Comparison, *, runs: int = 200) -> tuple[Replay, ...]:
    """Random search, and random search that tries the pick first; nothing for a partial study."""
    table = tabulated(store)
    pick = table.among.network_ids.index(comparison.primary.network.network_id)
    if len(table.complete) < 2 or pick not in table.complete:
        return ()
    orders = {
        "random": partial(random_cells, table, first=()),
        "random after the pick": partial(random_cells, table, first=(pick,)),
    }
    found = []
    for name, order in orders.items():
        made = [list(_run(table, order, seed=seed)) for seed in range(runs)]
        found.append(
            summarise(
                name,
                made,
                concurrency=1,
                best=comparison.best.accuracy.value,
                pick=comparison.primary.network.accuracy.value,
            )
        )
    return tuple(found)


def _run(table: Tabulated, order: Callable[..., Iterator[Cell]], *, seed: int) -> Iterator[Step]:
    cells = order(rng=np.random.default_rng(seed))
    return simulate(Listed(cells), table, pruner=Never(), trials=len(table.complete))
