"""Merges the many small files of a store; a crash in between leaves only rows that count once.

A merged file is written before its sources go, and holds about `BATCH` attempts: so many are lost
at most when one is damaged, and no more have to fit into memory. What is no whole part stays.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

import numpy as np
import pyarrow as pa

from search.store.attempts import first, ranks
from search.store.part import FOLDERS, IDENTITY, MERGED, SCHEMAS, DamagedPartError, Folder
from search.store.parts import codes, joined, plain, read_parts
from search.store.schema import CELLS
from search.store.store import Store

BATCH = 1000  # loose files that are worth a merge, attempts of a merged file
COLUMNS = (*IDENTITY, "status", "error_type", "is_canonical")


def merge_loose(store: Store) -> int:
    """Put the files of single attempts into merged ones, `BATCH` at a time; how many it took."""
    taken = 0
    for folder in reversed(FOLDERS):  # the epochs first: a row needs them
        loose, columns = store.loose(folder), SCHEMAS[folder].names
        for start in range(0, len(loose), BATCH):
            found = read_parts(store.storage, folder, loose[start : start + BATCH], columns)
            if found.names:
                table = joined(found.tables, SCHEMAS[folder], columns)
                _replace(store, folder, [plain(table, SCHEMAS[folder])], found.names)
            taken += len(found.names)
    return taken


def merge_all(store: Store) -> None:
    """Files of `BATCH` attempts each, no row twice, with `is_canonical` filled in."""
    merge_loose(store)
    _merge_epochs(store)
    _merge_trainings(store)


def _merge_trainings(store: Store) -> None:
    """Rewrites files with rows that lack their mark or are elsewhere too, and small files."""
    keys = dict(_merged(store, "cells", COLUMNS))
    if not keys:
        return
    rows, counted = pa.concat_tables(keys.values()), store.attempts()
    who_N, counted_N = codes([rows, counted.table], IDENTITY)
    row_N, standing_N = 3 * who_N + ranks(rows), 3 * counted_N + ranks(counted.table)
    keep_N = first(row_N, np.arange(len(row_N)))
    canonical_N = keep_N & np.isin(row_N, standing_N[counted.canonical_N])
    keep, canonical = _by_file(keep_N, keys), _by_file(canonical_N, keys)

    def changed(name: str, table: pa.Table) -> pa.Table:
        where = table.schema.get_field_index("is_canonical")
        marks = pa.array(canonical[name])
        return table.set_column(where, CELLS.field("is_canonical"), marks).filter(
            pa.array(keep[name])
        )

    settled = {
        name
        for name, table in keys.items()
        if keep[name].all() and table["is_canonical"].to_pylist() == canonical[name].tolist()
    }
    _rewrite(store, "cells", _unsettled(keys, settled), changed)


def _merge_epochs(store: Store) -> None:
    """Rewrites files with attempts whose epochs are elsewhere too, and files of few attempts."""
    keys = dict(_merged(store, "epochs", IDENTITY))  # an attempt is one row of a file here
    if not keys:
        return
    rows = pa.concat_tables(keys.values())
    (who_N,) = codes([rows], IDENTITY)
    is_twice_N = np.isin(who_N, who_N[~first(who_N, np.arange(len(who_N)))])
    twice, is_twice = rows.filter(pa.array(is_twice_N)), _by_file(is_twice_N, keys)
    seen: set[tuple] = set()

    def changed(name: str, table: pa.Table) -> pa.Table:
        if not is_twice[name].any():
            return table
        here_N, twice_N = codes([table, twice], IDENTITY)
        keep_N = np.ones(table.num_rows, bool)
        for row in np.flatnonzero(np.isin(here_N, twice_N)).tolist():
            key = tuple(table[column][row].as_py() for column in (*IDENTITY, "epoch"))
            keep_N[row] = key not in seen
            seen.add(key)
        return table.filter(pa.array(keep_N))

    settled = {name for name in keys if not is_twice[name].any()}
    _rewrite(store, "epochs", _unsettled(keys, settled), changed)


def _merged(store: Store, folder: Folder, columns: Sequence[str]) -> Iterator[tuple[str, pa.Table]]:
    """The whole merged files."""
    for name in store.part_names(folder):
        if name.startswith(MERGED):
            found = read_parts(store.storage, folder, [name], columns)
            yield from zip(found.names, found.tables, strict=True)


def _by_file(values_N: np.ndarray, keys: dict[str, pa.Table]) -> dict[str, np.ndarray]:
    ends = np.cumsum([table.num_rows for table in keys.values()])
    return dict(zip(keys, np.split(values_N, ends[:-1]), strict=True))


def _unsettled(keys: dict[str, pa.Table], settled: set[str]) -> list[str]:
    """What is to be rewritten; a small file that is alone stays as it is."""
    names = [name for name in keys if name not in settled or keys[name].num_rows < BATCH]
    return [] if len(names) == 1 and names[0] in settled else names


def _rewrite(
    store: Store, folder: Folder, names: list[str], changed: Callable[[str, pa.Table], pa.Table]
) -> None:
    """Write the changed rows of old files into new ones, and remove the old ones."""
    tables, taken = [], []
    for name in names:
        with suppress(DamagedPartError):  # stays, for `stac status --check` and `stac repair`
            tables.append(changed(name, store.read_part(folder, name)))
            taken.append(name)
        if name == names[-1] or sum(map(_attempts, tables)) >= BATCH:
            _replace(store, folder, tables, taken)
            tables, taken = [], []


def _replace(store: Store, folder: Folder, tables: list[pa.Table], names: list[str]) -> None:
    """Write the tables' rows in files of about `BATCH` attempts, then delete the sources."""
    if tables:
        table = pa.concat_tables(tables)
        (who_N,) = codes([table], IDENTITY)
        number_N = np.unique(who_N, return_inverse=True)[1] // BATCH
        whole = number_N.max(initial=0) < 2  # up to twice as many stay together
        for number in range(1 if whole else int(number_N.max()) + 1):
            piece = table if whole else table.filter(pa.array(number_N == number))
            if piece.num_rows:
                store.write_merged(folder, piece)
    for name in names:
        store.storage.delete(f"{folder}/{name}")


def _attempts(table: pa.Table) -> int:
    return len(np.unique(codes([table], IDENTITY)[0]))
