"""Which rows of a store are the study's own, and which network is the best among them.

Shapes: N rows of a table, R networks.
"""

from collections.abc import Iterable, Set
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from search.store.parts import is_in, texts
from search.study.metrics import METRICS
from search.study.networks import Networks
from search.study.study import Study
from search.study.training import Key


@dataclass(frozen=True, kw_only=True)
class Own:
    """What a row must be to count.

    Args:
        protocol_id: of the study.
        seeds: of the study.
        networks: ids of its networks; None if its space is too large to list: then any.
        finalists: network and seed of what `stac finalists` trains.
    """

    protocol_id: str
    seeds: tuple[int, ...]
    networks: Set[str] | None
    finalists: frozenset[tuple[str, int]]

    def mask(self, table: pa.Table) -> np.ndarray:
        """Whether each row is the study's own; the table has the columns of a training's key."""
        seed_N = table["seed"].to_numpy()
        is_own_N = np.isin(seed_N, self.seeds)
        if self.networks is not None:
            is_own_N &= is_in(table["network_id"], self.networks)
        for network_id in {name for name, _ in self.finalists}:
            fresh = [seed for name, seed in self.finalists if name == network_id]
            is_network_N = is_in(table["network_id"], frozenset({network_id}))
            is_own_N |= is_network_N & np.isin(seed_N, fresh)
        return is_own_N & is_in(table["protocol_id"], frozenset({self.protocol_id}))


def own(study: Study, among: Networks | None, finalists: Iterable[Key]) -> Own:
    """What is this study's own.

    Args:
        finalists: keys of the trainings of its finalists.
    """
    return Own(
        protocol_id=study.protocol.protocol_id,
        seeds=study.seeds,
        networks=None if among is None else among.row.keys(),
        finalists=frozenset((network_id, seed) for network_id, _, seed in finalists),
    )


def best_network(table: pa.Table, study: Study, among: Networks | None) -> tuple[str, float] | None:
    """The first of `ranking`; None if nothing is complete."""
    return next(iter(ranking(table, study, among)), None)


def ranking(table: pa.Table, study: Study, among: Networks | None) -> list[tuple[str, float]]:
    """Networks by the mean of the first objective over the study's own seeds, the best first.

    The fresh seeds of finalists are left out: they judge what was chosen here.

    Args:
        table: rows that stand for their trainings: key, status, macs, columns of the objectives.
        among: the study's networks, and no others count; None for a space too large to list.
    """
    objective = study.objectives[0]
    network_N, names = texts(table["network_id"])
    row = {name: i for i, name in enumerate(sorted(names))} if among is None else among.row
    row_N = np.array([*(row.get(name, -1) for name in names), -1])[network_N]
    value_N = floats(table, METRICS[objective.metric])
    counts_N = (
        is_in(table["status"], frozenset({"complete"}))
        & is_in(table["protocol_id"], frozenset({study.protocol.protocol_id}))
        & np.isin(table["seed"].to_numpy(), study.seeds)
        & np.isfinite(value_N)
        & (row_N >= 0)
    )
    at_N, macs_R = row_N[counts_N], np.full(len(row), np.nan)
    macs_R[at_N] = floats(table, "macs")[counts_N]
    total_R = np.bincount(at_N, weights=value_N[counts_N], minlength=len(row))
    count_R = np.bincount(at_N, minlength=len(row))
    mean_R = np.divide(total_R, count_R, out=np.full(len(row), np.nan), where=count_R > 0)
    ranked = best_first(mean_R, macs_R, least=objective.direction == "minimize")
    ids = list(row)
    return [(ids[i], float(mean_R[i])) for i in ranked[: np.count_nonzero(count_R)]]


def best_first(
    value_R: NDArray[np.float64], macs_R: NDArray[np.float64], *, least: bool = False
) -> NDArray[np.int64]:
    """Rows from the best value on; among equals fewer MACs go first, then the earlier row.

    Args:
        value_R: of each network, NaN for none: they come last.
        least: whether less is better.
    """
    return np.lexsort((macs_R, value_R if least else -value_R))  # stable


def floats(table: pa.Table, column: str) -> NDArray[np.float64]:
    """A column as numbers: (N,), NaN for null."""
    return pc.fill_null(table[column].cast(pa.float64()), float("nan")).to_numpy()
