"""One part, a file of `trainings` or `epochs`: its bytes, and what makes them one of ours.

A part is Parquet whose bytes fit the digest in its name (older ones have none), with the identity
of every row and with the types of the schema.
"""

import json
import re
from collections.abc import Sequence
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import json as pa_json

from search.errors import StoreError
from search.store.schema import CELLS, EPOCHS, SCHEMA_VERSION
from search.store.sealed import DAMAGE, fits_its_name, has_digest, stem_of, terse, to_parquet

Folder = Literal["cells", "epochs"]
FOLDERS: tuple[Folder, ...] = ("cells", "epochs")
SCHEMAS: dict[str, pa.Schema] = {"cells": CELLS, "epochs": EPOCHS}
# By name: asking a schema for a field again and again takes most of the time of reading a part.
FIELDS = {folder: {field.name: field for field in SCHEMAS[folder]} for folder in FOLDERS}
MERGED = "merged-"
KEY = ("network_id", "protocol_id", "seed")
IDENTITY = (*KEY, "attempt", "lease")
REQUIRED = {
    "cells": (*KEY, "attempt", "status"),
    "epochs": (*KEY, "attempt", "epoch"),
}
NOT_IN_FOOTER = "test_correct"  # bytes are no JSON
FREE_TEXT = frozenset({"spec_json", "error_text"})  # other texts repeat: read as dictionaries
ROW = "stacnet-row"  # entry of a footer: the row as JSON, read 80 times as fast as 70 columns
_MARK = f"{ROW}:".encode()
# This version as a Parquet footer has it; where it is not found, the slow way looks properly.
_VERSION = f"schema_version\x18{chr(len(str(SCHEMA_VERSION)))}{SCHEMA_VERSION}".encode()
# What the last whole file of ours was found to be: to look at 70 columns anew takes a tenth of the
# time of reading a merged file.
_before: dict[str, tuple[pq.ParquetSchema, bytes | None] | None] = {}
_ATTEMPT = re.compile(r"([0-9a-f]+)-([0-9a-f]+)-(-?\d+)-(\d+)(?:-(?!lost$)([^-]+))?(?:-lost)?")


class DamagedPartError(StoreError):
    """A file that is no whole part of its table."""


def single(row: dict[str, Any]) -> bytes:
    """The part of one row of `trainings`."""
    table = pa.Table.from_pylist([row], schema=CELLS)
    values = {
        name: (column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column)[0].as_py()
        for name, column in zip(table.column_names, table.columns, strict=True)
        if name != NOT_IN_FOOTER
    }
    text = json.dumps({name: value for name, value in values.items() if value is not None})
    table = table.cast(terse(table.schema))
    return to_parquet(table, notes={ROW: f"{ROW}:{text}\n"}, small=True)


def row_of(data: bytes, name: str) -> bytes | None:
    """The row that `single` left in the footer, if the bytes are proven to be its own.

    A line of JSON for `rows_of`, without `NOT_IN_FOOTER`; timestamps are microseconds. A row of
    another version is not taken.
    """
    if name.startswith(MERGED) or not has_digest(name):
        return None
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    start = data.find(_MARK, footer)
    if start < 0 or data.find(_VERSION, footer) < 0:
        return None
    return data[start + len(_MARK) : data.index(b"\n", start) + 1]


def rows_of(lines: Sequence[bytes], columns: Sequence[str]) -> pa.Table:
    """A table of `trainings` as `decode` makes it, with dictionaries, from at least one line."""
    fields, text = [FIELDS["cells"][name] for name in columns], b"".join(lines)
    kinds = [pa.int64() if pa.types.is_timestamp(f.type) else f.type for f in fields]
    schema = pa.schema(list(zip(columns, kinds, strict=True)))
    table = pa_json.read_json(
        pa.BufferReader(text),
        read_options=pa_json.ReadOptions(use_threads=False, block_size=len(text)),
        parse_options=pa_json.ParseOptions(
            explicit_schema=schema, unexpected_field_behavior="ignore"
        ),
    )
    arrays = [_coded(table[f.name].cast(f.type), f) for f in fields]
    return pa.table(arrays, list(columns))


def attempt_of(name: str) -> dict[str, Any] | None:
    """The identity in the name of a part of one attempt, if its digest covers the name."""
    match = _ATTEMPT.fullmatch(stem_of(name)) if has_digest(name) else None
    if match is None:
        return None
    network_id, protocol_id, seed, attempt, lease = match.groups()
    values = (network_id, protocol_id, int(seed), int(attempt), lease)
    return dict(zip(IDENTITY, values, strict=True))


def prove(data: bytes, folder: str, name: str, *, where: str) -> None:
    """Refuse bytes that their name denies."""
    if fits_its_name(folder, name, data) is False:
        raise DamagedPartError(f"{where}: a part must be whole, got bytes that its name denies")


def decode(
    data: bytes, folder: str, columns: Sequence[str], *, where: str, coded: bool = False
) -> pa.Table:
    """The columns of a part, brought to today's schema.

    Args:
        coded: texts that repeat become dictionaries.

    Raises:
        DamagedPartError: the bytes are no part of this table.
        StoreError: they are of a newer version.
    """
    fields = FIELDS[folder]
    texts = [name for name in columns if coded and _repeats(fields[name])]
    try:
        file, is_proven = _opened(data, texts), has_digest(where)
        if not (is_proven and _is_as_before(file, folder)):
            _check(file.schema_arrow, folder, where)
            _before[folder] = _shape(file) if is_proven else None
        table = file.read(list(columns), use_threads=False)  # those that an older part lacks: not
        table.validate(full=not is_proven)
        for name in REQUIRED[folder]:
            if name in columns and table[name].null_count:
                raise DamagedPartError(f"{where}: {name} must be there in each row, got null")
        return _shaped(table, [fields[name] for name in columns], coded=coded)
    except StoreError:
        raise
    except DAMAGE as error:
        raise DamagedPartError(f"{where}: a part must be whole, got {error}") from None


def from_rows(rows: list[dict[str, Any]], schema: pa.Schema, columns: Sequence[str]) -> pa.Table:
    """A table as `decode` makes it, with dictionaries."""
    fields = [schema.field(name) for name in columns]
    arrays = [pa.array([row.get(f.name) for row in rows], f.type) for f in fields]
    return pa.table([_coded(a, f) for a, f in zip(arrays, fields, strict=True)], list(columns))


def _opened(data: bytes, texts: list[str]) -> pq.ParquetFile:
    """The file, with these columns, as far as they are there, as dictionaries."""

    def opened(names: list[str]) -> pq.ParquetFile:
        buffer = pa.BufferReader(data)
        return pq.ParquetFile(buffer, read_dictionary=names, page_checksum_verification=True)

    try:
        return opened(texts)
    except KeyError:  # an older part lacks one
        present = set(opened([]).schema_arrow.names)
        return opened([name for name in texts if name in present])


def _shape(file: pq.ParquetFile) -> tuple[pq.ParquetSchema, bytes | None]:
    return file.schema, (file.metadata.metadata or {}).get(b"schema_version")


def _is_as_before(file: pq.ParquetFile, folder: str) -> bool:
    """Whether a file of ours has names, types and version of the one checked before it."""
    before = _before.get(folder)
    if before is None:
        return False
    schema, version = _shape(file)
    return version == before[1] and schema.equals(before[0])


def _shaped(table: pa.Table, fields: list[pa.Field], *, coded: bool) -> pa.Table:
    if coded and table.num_columns == len(fields):
        return table.select([about.name for about in fields])
    arrays = []
    for about in fields:
        if about.name not in table.column_names:
            nulls = pa.nulls(table.num_rows, about.type)
            arrays.append(_coded(nulls, about) if coded else nulls)
        elif coded:
            arrays.append(table[about.name])
        else:
            arrays.append(table[about.name].cast(about.type))
    return (
        pa.table(arrays, [f.name for f in fields]) if coded else pa.table(arrays, pa.schema(fields))
    )


def _repeats(about: pa.Field) -> bool:
    return pa.types.is_string(about.type) and about.name not in FREE_TEXT


def _coded(array: pa.Array, about: pa.Field) -> pa.Array:
    return array.dictionary_encode() if _repeats(about) else array


def _check(found: pa.Schema, folder: str, where: str) -> None:
    """Refuse what is no part of this table."""
    fields = FIELDS[folder]
    text = (found.metadata or {}).get(b"schema_version", b"0").decode(errors="replace")
    if not (text.isascii() and text.isdigit()):
        raise DamagedPartError(f"{where}: schema_version must be a number, got {text[:40]!r}")
    if int(text) > SCHEMA_VERSION:
        raise StoreError(
            f"{where}: schema_version must be at most {SCHEMA_VERSION}, got {text}: "
            "the store was written by a newer stacnet"
        )
    for name in REQUIRED[folder]:
        if found.get_field_index(name) < 0:
            raise DamagedPartError(f"{where}: a part must have the column {name}, got none")
    for name, kind in zip(found.names, found.types, strict=True):
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        if name in fields and kind != fields[name].type:
            wanted = fields[name].type
            raise DamagedPartError(f"{where}: {name} must be of type {wanted}, got {kind}")
