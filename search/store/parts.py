"""All parts of a folder, read fast, few or many; what is no part is left out, with the reason."""

from collections.abc import Iterator, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from search.errors import UnreadableError
from search.store.part import (
    IDENTITY,
    MERGED,
    NOT_IN_FOOTER,
    SCHEMAS,
    DamagedPartError,
    Folder,
    attempt_of,
    decode,
    from_rows,
    prove,
    row_of,
    rows_of,
)
from search.store.storage import Storage

LOCAL = (2, 250)  # readers, files that one takes at once: more would wait for each other
REMOTE = (16, 8)  # an object store answers late: many ask at once


@dataclass(kw_only=True)
class Reading:
    """Rows of a folder, and the parts that were left out.

    Args:
        tables: as read, in no certain order; texts that repeat are dictionaries.
        names: of the parts that were read.
        damaged: `folder/name` of what is no part -> why.
        gone: whether a part was merged away meanwhile.
    """

    tables: list[pa.Table] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    damaged: dict[str, str] = field(default_factory=dict)
    gone: bool = False


def part_names(storage: Storage, folder: str) -> list[str]:
    """Names of all files in a folder that may be parts."""
    return [name for name in storage.files(folder) if name.endswith(".parquet")]


def loose(storage: Storage, folder: str) -> list[str]:
    """Those that hold one attempt."""
    return [name for name in part_names(storage, folder) if not name.startswith(MERGED)]


def read_all(storage: Storage, folder: Folder, columns: Sequence[str]) -> Reading:
    """All parts of a folder.

    What is merged meanwhile is found in the merged file, which is written before its sources go.

    Raises:
        StoreError: a part is of a newer version.
        StorageError: the storage fails.
    """
    found, seen, gone = Reading(), set[str](), True
    while gone:
        names = [name for name in part_names(storage, folder) if name not in seen]
        seen.update(names)
        more = read_parts(storage, folder, names, columns)
        found.tables += more.tables
        found.names += more.names
        found.damaged |= more.damaged
        gone = more.gone
    return found


def read_parts(
    storage: Storage, folder: Folder, names: Sequence[str], columns: Sequence[str]
) -> Reading:
    """These parts, as far as they are there and whole."""
    readers, at_once = LOCAL if storage.is_local else REMOTE
    chunks = [names[i : i + at_once] for i in range(0, len(names), at_once)]
    found = Reading()
    with ThreadPoolExecutor(readers) as pool:
        for one in pool.map(lambda some: _read_some(storage, folder, some, columns), chunks):
            found.tables += one.tables
            found.names += one.names
            found.damaged |= one.damaged
            found.gone |= one.gone
    return found


def read_part(storage: Storage, folder: str, name: str, columns: Sequence[str]) -> pa.Table:
    """One part, brought to today's schema.

    Raises:
        FileNotFoundError: it is gone (merged meanwhile).
        DamagedPartError: it is damaged, or no part of this table.
        StoreError: it is of a newer version.
    """
    data = _bytes(storage, folder, name)
    return decode(data, folder, columns, where=f"{storage.address}/{folder}/{name}")


def joined(tables: Sequence[pa.Table], schema: pa.Schema, columns: Sequence[str]) -> pa.Table:
    """One table with one chunk a column and one dictionary for each text."""
    empty = from_rows([], schema, columns)
    return pa.concat_tables([empty, *tables]).unify_dictionaries().combine_chunks()


def plain(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with the schema's types and field metadata, without dictionaries."""
    return table.cast(pa.schema([schema.field(name) for name in table.column_names]))


def only(table: pa.Table, is_N: np.ndarray) -> pa.Table:
    """The rows for which it is true."""
    return table if is_N.all() else table.filter(pa.array(is_N))


def rows(table: pa.Table, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """The values of each row, a piece at a time: as Python's, all take ten times the memory."""
    for piece in table.select(list(columns)).to_batches(max_chunksize=10_000):
        yield from zip(*(column.to_pylist() for column in piece.columns), strict=True)


def codes(tables: Sequence[pa.Table], columns: Sequence[str]) -> list[np.ndarray]:
    """For each row of each table an integer: equal where the rows agree in these columns."""
    both = pa.concat_tables([_encoded(table.select(list(columns))) for table in tables])
    both = both.unify_dictionaries()
    code, bound = np.zeros(both.num_rows, np.int64), 1
    for name in columns:
        values, size = _dense(both[name])
        if size > 1:
            code, bound = code * size + values, bound * size
        if bound > 2**31:  # so that the next product fits
            distinct, code = np.unique(code, return_inverse=True)
            bound = len(distinct)
    ends = np.cumsum([table.num_rows for table in tables])
    return np.split(code, ends[:-1])


def texts(column: pa.ChunkedArray) -> tuple[np.ndarray, list[str]]:
    """The number of each text among the distinct ones, -1 for null; and the distinct ones."""
    column = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    column = column.unify_dictionaries()
    distinct = column.chunk(0).dictionary.to_pylist() if column.num_chunks else []
    return _numbers(column), distinct


def is_in(column: pa.ChunkedArray, values: Set[str]) -> np.ndarray:
    """Whether each text is one of these."""
    number_N, distinct = texts(column)
    return np.array([*(text in values for text in distinct), False])[number_N]  # -1: the last


def _encoded(table: pa.Table) -> pa.Table:
    """The table with its texts as dictionaries."""
    texts = [c.dictionary_encode() if pa.types.is_string(c.type) else c for c in table.columns]
    return pa.table(texts, names=table.column_names)


def _dense(column: pa.ChunkedArray) -> tuple[np.ndarray, int]:
    """Numbers from 0 for the values of a key column, null included, and a bound on them."""
    if not pa.types.is_dictionary(column.type) and not pa.types.is_integer(column.type):
        column = column.dictionary_encode()
    is_text = pa.types.is_dictionary(column.type)
    value_N = _numbers(column) if is_text else column.to_numpy()
    least, most = (int(value_N.min()), int(value_N.max())) if len(value_N) else (0, 0)
    if most - least < 2**20:
        return value_N - least, most - least + 1
    distinct, code = np.unique(value_N, return_inverse=True)
    return code, len(distinct)


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    """Of texts with one dictionary: the place of each in it, -1 for null."""
    chunks = [chunk.indices for chunk in column.chunks]
    whole = [c.fill_null(-1) if c.null_count else c for c in chunks]
    return np.concatenate([*(c.to_numpy() for c in whole), np.zeros(0, np.int32)])


def _read_some(
    storage: Storage, folder: Folder, names: Sequence[str], columns: Sequence[str]
) -> Reading:
    found, tables, lines, keys = Reading(), [], [], []
    is_keys = set(columns) <= set(IDENTITY)
    is_footer_enough = folder == "cells" and NOT_IN_FOOTER not in columns
    for name in names:
        try:
            data = _bytes(storage, folder, name)
            if is_footer_enough and (line := row_of(data, name)):
                lines.append(line)
            elif folder == "epochs" and is_keys and (key := attempt_of(name)):
                keys.append(key)
            else:
                where = f"{storage.address}/{folder}/{name}"
                tables.append(decode(data, folder, columns, where=where, coded=True))
            found.names.append(name)
        except FileNotFoundError:
            found.gone = True
        except DamagedPartError as error:
            found.damaged[f"{folder}/{name}"] = str(error)
    tables += [rows_of(lines, columns)] if lines else []
    tables += [from_rows(keys, SCHEMAS[folder], columns)] if keys else []
    if tables:
        table = joined(tables, SCHEMAS[folder], columns)
        found.tables.append(_distinct(table) if folder == "epochs" and is_keys else table)
    return found


def _bytes(storage: Storage, folder: str, name: str) -> bytes:
    try:
        data = storage.read(f"{folder}/{name}")
    except UnreadableError as error:
        raise DamagedPartError(str(error)) from None
    prove(data, folder, name, where=f"{storage.address}/{folder}/{name}")
    return data


def _distinct(table: pa.Table) -> pa.Table:
    """One row of each run of equal rows: an attempt's epochs follow each other."""
    begins_N = np.zeros(table.num_rows, bool)
    begins_N[:1] = True
    for column in table.columns:
        value_N = _numbers(column) if pa.types.is_dictionary(column.type) else column.to_numpy()
        begins_N[1:] |= value_N[1:] != value_N[:-1]
    return only(table, begins_N)
