"""Which of the stored rows count: one for each attempt, one attempt for each training.

An attempt is told apart by network, protocol, seed, number and lease. Its worker and its driver may
both have left a row, and merging may leave the same row in two files.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from search.store.part import IDENTITY, KEY
from search.store.parts import codes, is_in, joined, only, plain, read_all, texts
from search.store.schema import CELLS, EPOCHS
from search.store.storage import Storage
from search.study.ends import FINAL

NEEDED = (*IDENTITY, "status", "error_type", "epochs")
LOST = frozenset({"crash", "memory", "node", "start", "driver"})  # error_type of a driver's row


@dataclass(kw_only=True)
class Attempts:
    """The rows of `trainings` that count, one for each attempt.

    Args:
        table: columns as asked for, and `NEEDED`; texts that repeat are dictionaries.
        canonical_N: whether the row stands for its training.
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
    wanted = needed(columns)
    trainings = read_all(storage, "cells", wanted)
    table = joined(trainings.tables, CELLS, wanted)
    if not (curves and needs_curve(table).any()):
        return counted(table, None, owed=owed, damaged=trainings.damaged)
    epochs = read_all(storage, "epochs", IDENTITY)  # they are written before the row
    damaged = trainings.damaged | epochs.damaged
    return counted(table, epochs.tables, owed=owed, damaged=damaged)


def needed(columns: Sequence[str]) -> list[str]:
    """The columns, and those without which nothing can be counted."""
    return list(dict.fromkeys([*NEEDED, *(name for name in columns if name != "is_canonical")]))


def needs_curve(table: pa.Table) -> np.ndarray:
    """Whether each row counts only with its epochs."""
    return is_in(table["status"], FINAL) & (_numbers(table["epochs"]) > 0)


def counted(
    table: pa.Table,
    epochs: Sequence[pa.Table] | None,
    *,
    owed: bool = False,
    damaged: dict[str, str],
) -> Attempts:
    """Which of the rows count.

    Args:
        table: rows of `trainings`, dictionaries for texts, with `NEEDED`.
        epochs: rows of `epochs` with `IDENTITY`; None to believe that they are there.
        owed: as for `read_attempts`.
    """
    who_N, *known = codes([table, *(epochs or ())], IDENTITY)
    torn_N = np.zeros(table.num_rows, bool)
    if epochs is not None:
        torn_N = needs_curve(table) & ~np.isin(who_N, np.concatenate([*known, who_N[:0]]))
    torn = only(table, torn_N)
    if owed and torn_N.any():
        table = _as_preempted(table, torn_N)
    else:
        table, who_N = only(table, ~torn_N), who_N[~torn_N]
    kept_N, canonical_N = choose(table, who_N)
    return Attempts(
        table=only(table, kept_N),
        canonical_N=canonical_N[kept_N],
        torn=torn,
        damaged=damaged,
    )


def standing(found: Attempts, columns: Sequence[str]) -> pa.Table:
    """The row that stands for each training, in plain types; `is_canonical` is true in all."""
    table = found.table.append_column("is_canonical", pa.array(found.canonical_N))
    return plain(only(table, found.canonical_N).select(list(columns)), CELLS)


def curves_of(found: Attempts, tables: Sequence[pa.Table], columns: Sequence[str]) -> pa.Table:
    """Rows of `epochs` of the attempts that stand for their trainings, by training and epoch.

    Args:
        tables: rows of `epochs` with `IDENTITY`, `epoch` and the columns.
    """
    needed = list(dict.fromkeys([*IDENTITY, "epoch", *columns]))
    table = joined([one.select(needed) for one in tables], EPOCHS, needed)
    who_N, counted_N = codes([table, only(found.table, found.canonical_N)], IDENTITY)
    table = only(table, np.isin(who_N, counted_N))
    table = only(table, first(*codes([table], [*IDENTITY, "epoch"])))
    network_N, protocol_N = _order_of(table["network_id"]), _order_of(table["protocol_id"])
    numbers = [table[name].to_numpy() for name in ("epoch", "seed")]
    order_N = np.lexsort((*numbers, protocol_N, network_N))
    return plain(table.select(list(columns)).take(pa.array(order_N)), EPOCHS)


def _as_preempted(table: pa.Table, torn_N: np.ndarray) -> pa.Table:
    status_N = np.array(table["status"].to_pylist(), object)
    status_N[torn_N] = "preempted"
    place = table.schema.get_field_index("status")
    return table.set_column(place, "status", pa.array(status_N, pa.string()).dictionary_encode())


def choose(table: pa.Table, who_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each row: whether it counts for its attempt, and whether for its training too.

    Of the rows of one attempt an end that counts comes first, then the worker's, then the
    driver's. Of the attempts at one training the first complete one stands, else the last that
    ended for good, else the last.

    Args:
        who_N: code of each row's attempt.
    """
    (training_N,) = codes([table], KEY)
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
    order = (training_N[some], tier_N[some], turn_N[some], _order_of(table["lease"])[some])
    canonical_N[some] = first(*order)
    return kept_N, canonical_N


def ranks(table: pa.Table) -> np.ndarray:
    """Which row of an attempt comes first: 0 an end that counts, 1 the worker's, 2 the driver's."""
    rank_N = np.where(is_in(table["error_type"], LOST), 2, 1)
    return np.where(is_in(table["status"], FINAL), 0, rank_N)


def first(group_N: np.ndarray, *order: np.ndarray) -> np.ndarray:
    """Whether a row is the first of its group in this order."""
    marks_N = np.ones(len(group_N), bool)
    some = np.flatnonzero(_is_shared(group_N))  # few, as a rule
    sorted_N = some[np.lexsort((*(one[some] for one in reversed(order)), group_N[some]))]
    marks_N[sorted_N[1:]] = group_N[sorted_N[1:]] != group_N[sorted_N[:-1]]
    return marks_N


def _is_shared(group_N: np.ndarray) -> np.ndarray:
    """Whether a row's group holds others too."""
    sorted_N = np.sort(group_N)
    return np.isin(group_N, sorted_N[1:][sorted_N[1:] == sorted_N[:-1]])


def _order_of(column: pa.ChunkedArray) -> np.ndarray:
    """Numbers in the order of the texts, so that a tie ends the same way everywhere."""
    number_N, distinct = texts(column)
    order = np.argsort(np.argsort(np.array(distinct, dtype=object)))
    return np.append(order, -1)[number_N].astype(np.int64)  # null comes first


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    return pc.fill_null(column, 0).to_numpy()
