"""Which of the stored rows count: one for each attempt, and for each cell the attempt that stands.

An attempt is told apart by network, protocol, seed, number and lease. Its worker and its driver may
both have left a row, and merging may leave the same row in two files.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from search.store.part import IDENTITY, KEY
from search.store.parts import codes, is_in, joined, read_all, texts
from search.store.schema import CELLS
from search.store.storage import Storage
from search.study.ends import FINAL

NEEDED = (*IDENTITY, "status", "error_type", "epochs")
LOST = frozenset({"crash", "memory", "node", "start", "driver"})  # error_type of a driver's row


@dataclass(kw_only=True)
class Attempts:
    """The rows of `cells` that count, one for each attempt.

    Args:
        table: columns as asked for, and `NEEDED`; texts that repeat are dictionaries.
        canonical_N: whether the row stands for its cell.
        torn: rows that ended but whose epochs are lost: as if they had not been made.
        damaged: `folder/name` of every file that was left out -> why.
    """

    table: pa.Table
    canonical_N: np.ndarray
    torn: pa.Table
    damaged: dict[str, str]


def read_attempts(
    storage: Storage, columns: Sequence[str], *, curves: bool = True, owed: bool = False
) -> Attempts:
    """All attempts in the store.

    Args:
        curves: whether an ended row must have its epochs, which are then read too.
        owed: whether those without are in the table, as `preempted`: for who trains them again.

    Raises:
        StoreError: a part is of a newer version.
    """
    wanted = list(dict.fromkeys([*NEEDED, *(name for name in columns if name != "is_canonical")]))
    cells = read_all(storage, "cells", wanted)
    table = joined(cells.tables, CELLS, wanted)
    needs_N = is_in(table["status"], FINAL) & (_numbers(table["epochs"]) > 0) & curves
    damaged = dict(cells.damaged)
    torn_N = np.zeros(table.num_rows, bool)
    if needs_N.any():  # epochs are written before the row: they were there when the row was seen
        epochs = read_all(storage, "epochs", IDENTITY)
        damaged |= epochs.damaged
        who_N, *known = codes([table, *epochs.tables], IDENTITY)
        torn_N = needs_N & ~np.isin(who_N, np.concatenate([*known, who_N[:0]]))
    torn, table = (
        table.filter(pa.array(torn_N)),
        (
            _as_preempted(table, torn_N)
            if owed and torn_N.any()
            else table.filter(pa.array(~torn_N))
        ),
    )
    kept_N, canonical_N = choose(table)
    return Attempts(
        table=table.filter(pa.array(kept_N)),
        canonical_N=canonical_N[kept_N],
        torn=torn,
        damaged=damaged,
    )


def _as_preempted(table: pa.Table, torn_N: np.ndarray) -> pa.Table:
    status_N = np.array(table["status"].to_pylist(), object)
    status_N[torn_N] = "preempted"
    place = table.schema.get_field_index("status")
    return table.set_column(place, "status", pa.array(status_N, pa.string()).dictionary_encode())


def choose(table: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """For each row: whether it counts for its attempt, and whether for its cell too.

    Of the rows of one attempt an end that counts comes first, then the worker's, then the
    driver's. Of the attempts at one cell the first complete one stands, else the last that ended
    for good, else the last.
    """
    who_N, cell_N = *codes([table], IDENTITY), *codes([table], KEY)
    is_final_N = is_in(table["status"], FINAL)
    is_complete_N = is_in(table["status"], frozenset({"complete"}))
    rank_N = ranks(table)
    row_N = np.arange(table.num_rows)
    kept_N = first(who_N, rank_N, row_N)
    tier_N = np.where(is_complete_N, 0, np.where(is_final_N, 1, 2))
    attempt_N = table["attempt"].to_numpy().astype(np.int64)
    turn_N = np.where(is_complete_N, attempt_N, -attempt_N)
    canonical_N = np.zeros(table.num_rows, bool)
    some = np.flatnonzero(kept_N)
    order = (cell_N[some], tier_N[some], turn_N[some], _order_of(table["lease"])[some])
    canonical_N[some] = first(*order)
    return kept_N, canonical_N


def ranks(table: pa.Table) -> np.ndarray:
    """Which row of an attempt comes first: 0 an end that counts, 1 the worker's, 2 the driver's."""
    rank_N = np.where(is_in(table["error_type"], LOST), 2, 1)
    return np.where(is_in(table["status"], FINAL), 0, rank_N)


def first(group_N: np.ndarray, *order: np.ndarray) -> np.ndarray:
    """Whether a row is the first of its group in this order."""
    sorted_N = np.lexsort((*reversed(order), group_N))
    group_N = group_N[sorted_N]
    is_first_N = np.ones(len(group_N), bool)
    is_first_N[1:] = group_N[1:] != group_N[:-1]
    marks_N = np.zeros(len(group_N), bool)
    marks_N[sorted_N] = is_first_N
    return marks_N


def _order_of(column: pa.ChunkedArray) -> np.ndarray:
    """Numbers in the order of the texts, so that a tie ends the same way everywhere."""
    number_N, distinct = texts(column)
    order = np.argsort(np.argsort(np.array(distinct, dtype=object)))
    return np.append(order, -1)[number_N].astype(np.int64)  # null comes first


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    return pc.fill_null(column, 0).to_numpy()
