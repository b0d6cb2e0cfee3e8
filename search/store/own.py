"""Which rows of a store are the study's own, and which network is the best among them."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from search.store.manifest import Manifest
from search.store.parts import is_in, texts
from search.study.metrics import METRICS
from search.study.study import Study
from search.study.training import Key


@dataclass(frozen=True, kw_only=True)
class Own:
    """What a row must be to count.

    Args:
        protocol_id: of the study.
        seeds: of the study.
        networks: of its manifest; None if its space is too large to list: then any.
        finalists: network and seed of what `stac finalists` trains.
    """

    protocol_id: str
    seeds: tuple[int, ...]
    networks: frozenset[str] | None
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


def own(study: Study, manifest: Manifest | None, finalists: Iterable[Key]) -> Own:
    """What is this study's own.

    Args:
        finalists: keys of the trainings of its finalists.
    """
    return Own(
        protocol_id=study.protocol.protocol_id,
        seeds=study.seeds,
        networks=None if manifest is None else manifest.members,
        finalists=frozenset((network_id, seed) for network_id, _, seed in finalists),
    )


def best_network(table: pa.Table, study: Study) -> tuple[str, float] | None:
    """The first of `ranking`; None if nothing is complete."""
    names, mean_N = _means(table, study)
    if not len(mean_N):
        return None
    best = mean_N.min() if _sign(study) > 0 else mean_N.max()
    return min(name for name, mean in zip(names, mean_N, strict=True) if mean == best), float(best)


def ranking(table: pa.Table, study: Study) -> list[tuple[str, float]]:
    """Networks by the mean of the first objective over the study's own seeds, the best first.

    The fresh seeds of finalists are left out: they judge what was chosen here.

    Args:
        table: rows that stand for their trainings: key, status, columns of the objectives.
    """
    names, mean_N = _means(table, study)
    sign = _sign(study)
    pairs = zip(names, mean_N.tolist(), strict=True)
    return sorted(pairs, key=lambda pair: (sign * pair[1], pair[0]))


def _sign(study: Study) -> int:
    return 1 if study.objectives[0].direction == "minimize" else -1


def _means(table: pa.Table, study: Study) -> tuple[list[str], np.ndarray]:
    column = METRICS[study.objectives[0].metric]
    value_N = pc.fill_null(table[column].cast(pa.float64()), float("nan")).to_numpy()
    counts_N = (
        is_in(table["status"], frozenset({"complete"}))
        & is_in(table["protocol_id"], frozenset({study.protocol.protocol_id}))
        & np.isin(table["seed"].to_numpy(), study.seeds)
        & np.isfinite(value_N)
    )
    if not counts_N.any():
        return [], np.zeros(0)
    network_N, names = texts(table["network_id"])
    row_N = network_N[counts_N]
    count_N = np.bincount(row_N, minlength=len(names))
    total_N = np.bincount(row_N, weights=value_N[counts_N], minlength=len(names))
    there = np.flatnonzero(count_N)
    return [names[i] for i in there], total_N[there] / count_N[there]
