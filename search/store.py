"""The store of one study: what was planned and what has been finished, in Parquet."""

import io
import json
import uuid
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from search.cells import Job
from search.errors import StoreError
from search.rows import code_facts
from search.schema import CELLS, EPOCHS, SCHEMA_VERSION
from search.storage import Storage
from search.study import Study, first_difference, study_from_json

STUDY_FILE = "study.json"
CODE = "code"  # its field that is not the study's: commit and versions it began with
MERGED = "merged-"
KEY = ("network_id", "protocol_id", "seed")
READERS = 8


class Store:
    """Reads and writes the folder of a study; any number of readers, workers and machines.

    A finished attempt is one file in `epochs/` and then one in `cells/`, both named by cell and
    attempt: writing it twice changes nothing. Merged files hold many; a row that is in two files
    counts once.

    Args:
        path: folder, or s3:// address.
    """

    def __init__(self, path: str | Path) -> None:
        self.storage = Storage(path)

    @property
    def address(self) -> str:
        """Absolute path, or s3:// address."""
        return self.storage.address

    def exists(self) -> bool:
        """Whether a study was begun here."""
        return self.storage.exists(STUDY_FILE)

    def study(self) -> Study:
        """The study that is stored here.

        Raises:
            StoreError: there is none, or it cannot be read.
        """
        return self._study_and_code()[0]

    def code(self) -> dict[str, str | None]:
        """Commit and versions of the code that the study began with; empty in older stores."""
        return self._study_and_code()[1]

    def _study_and_code(self) -> tuple[Study, dict[str, str | None]]:
        source = f"{self.address}/{STUDY_FILE}"
        try:
            plain = json.loads(self.storage.read(STUDY_FILE))
            code = plain.pop(CODE, {})
        except FileNotFoundError:
            raise StoreError(f"a study folder must hold {STUDY_FILE}, got {self.address}") from None
        except (ValueError, AttributeError, TypeError) as error:
            raise StoreError(f"{source}: must be a JSON object: {error}") from None
        return study_from_json(json.dumps(plain), source=source), code

    def begin(self, study: Study) -> None:
        """Write the study and the code it begins with, or make sure that it is the one here.

        Raises:
            StoreError: another study is here; the field that differs is named.
        """
        if not self.exists():
            plain = json.loads(study.to_json()) | {CODE: code_facts()}
            self.storage.write(STUDY_FILE, json.dumps(plain, sort_keys=True, indent=1).encode())
            return
        difference = first_difference(self.study(), study)
        if difference:
            raise StoreError(
                f"a study must not change once begun, got another {difference} in {self.address}"
            )

    def cells(
        self, columns: Iterable[str] | None = None, *, all_attempts: bool = False
    ) -> pa.Table:
        """Rows of `cells`: by default the one that counts for each cell.

        Args:
            columns: names to read; all by default.
            all_attempts: every attempt instead, with `is_canonical` filled in.

        Raises:
            StoreError: a file is of a newer version.
        """
        wanted = list(columns) if columns is not None else CELLS.names
        needed = dict.fromkeys([*KEY, "attempt", "status", *wanted])
        table = canonical_marked(self._read("cells", CELLS, list(needed)))
        if not all_attempts:
            table = table.filter(table["is_canonical"])
        return table.select(wanted)

    def epochs(self, columns: Iterable[str] | None = None) -> pa.Table:
        """Rows of `epochs` of the attempts that count, by cell and epoch."""
        wanted = list(columns) if columns is not None else EPOCHS.names
        keys = [*KEY, "attempt"]
        table = self._read("epochs", EPOCHS, list(dict.fromkeys([*keys, "epoch", *wanted])))
        table = _distinct(table, [*keys, "epoch"])
        kept = table.join(self.cells(keys), keys=keys, join_type="left semi")
        return kept.sort_by([(name, "ascending") for name in (*KEY, "epoch")]).select(wanted)

    def write_attempt(
        self, job: Job, row: dict[str, Any], epochs: list[dict[str, Any]], *, lost: bool = False
    ) -> None:
        """Store one finished attempt: its epochs, then its row.

        Args:
            lost: whether the driver writes it in place of the worker. Its file has another name,
                so that it never replaces what the worker wrote after all.
        """
        name = f"{job.part}-lost.parquet" if lost else f"{job.part}.parquet"
        if epochs:
            self.storage.write(f"epochs/{name}", _encode(epochs, EPOCHS))
        self.storage.write(f"cells/{name}", _encode([row], CELLS))

    def write_merged(self, folder: str, table: pa.Table) -> str:
        """Store many rows of `cells` or `epochs` as one file; its name."""
        name = f"{MERGED}{uuid.uuid4().hex}.parquet"
        sink = io.BytesIO()
        pq.write_table(table, sink, compression="zstd")
        self.storage.write(f"{folder}/{name}", sink.getvalue())
        return name

    def loose(self, folder: str) -> list[str]:
        """Names of the files of single attempts in `cells` or `epochs`."""
        return [name for name in self.part_names(folder) if not name.startswith(MERGED)]

    def part_names(self, folder: str) -> list[str]:
        """Names of all files in `cells` or `epochs`."""
        return [name for name in self.storage.names(folder) if name.endswith(".parquet")]

    def read_part(self, folder: str, name: str, columns: list[str] | None = None) -> pa.Table:
        """One file, brought to today's schema.

        Raises:
            FileNotFoundError: it is gone (merged meanwhile).
            StoreError: it is torn, or of a newer version.
        """
        schema = CELLS if folder == "cells" else EPOCHS
        where = f"{self.address}/{folder}/{name}"
        return _decode(self.storage.read(f"{folder}/{name}"), schema, columns, where)

    def write_weights(self, cell_id: str, data: bytes) -> None:
        """Keep the weights of a cell (`stacnet.checkpoint.dumps` of the model's state)."""
        self.storage.write(f"weights/{cell_id}.pt", data)

    def weights(self, cell_id: str) -> dict[str, Any] | None:
        """State of the cell's model, or None if it was not kept."""
        from stacnet.checkpoint import loads

        name = f"weights/{cell_id}.pt"
        return loads(self.storage.read(name)) if self.storage.exists(name) else None

    def _read(self, folder: str, schema: pa.Schema, columns: list[str]) -> pa.Table:
        """All files of a folder but torn ones; again if some were merged away meanwhile."""
        for _ in range(5):
            try:
                tables = list(self._parts(folder, self.part_names(folder), columns))
            except FileNotFoundError:
                continue
            empty = pa.schema([schema.field(name) for name in columns]).empty_table()
            return pa.concat_tables([empty, *tables]).combine_chunks()
        raise StoreError(f"{self.address}/{folder}: files must stay while read, got changing names")

    def _parts(self, folder: str, names: list[str], columns: list[str]) -> Iterator[pa.Table]:
        def part(name: str) -> pa.Table | None:
            try:
                return self.read_part(folder, name, columns)
            except TornPartError:
                return None  # its cell counts as not run; `stac status --check` names the file

        with ThreadPoolExecutor(READERS) as pool:
            yield from (table for table in pool.map(part, names) if table is not None)


class TornPartError(StoreError):
    """A Parquet file that cannot be read."""


def canonical_marked(table: pa.Table) -> pa.Table:
    """Rows with distinct (cell, attempt), and `is_canonical`: which row counts for its cell.

    That is the first complete one; if there is none, the last attempt.
    """
    table = _distinct(table, [*KEY, "attempt"])
    attempt_N = table["attempt"].to_numpy().astype(np.int64)
    complete_N = table["status"].to_numpy() == "complete"
    rank_N = np.where(complete_N, attempt_N, 2**31 - attempt_N)
    ranked = _numbered(table, KEY).append_column("rank", pa.array(rank_N))
    ranked = ranked.sort_by([(name, "ascending") for name in (*KEY, "rank")])
    first = ranked.group_by(list(KEY), use_threads=False).aggregate([("row", "first")])
    canonical_N = np.zeros(table.num_rows, bool)
    canonical_N[first["row_first"].to_numpy()] = True
    if "is_canonical" in table.column_names:
        table = table.drop_columns(["is_canonical"])
    return table.append_column(CELLS.field("is_canonical"), pa.array(canonical_N))


def _numbered(table: pa.Table, columns: Sequence[str]) -> pa.Table:
    rows = pa.array(np.arange(table.num_rows))
    return table.select(list(columns)).append_column("row", rows)


def _distinct(table: pa.Table, keys: Sequence[str]) -> pa.Table:
    """The first of the rows that agree in `keys`."""
    if table.num_rows < 2:
        return table
    grouped = _numbered(table, keys).group_by(list(keys), use_threads=False)
    rows = grouped.aggregate([("row", "min")])["row_min"]
    return table if len(rows) == table.num_rows else table.take(rows)


def _encode(rows: list[dict[str, Any]], schema: pa.Schema) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), sink)
    return sink.getvalue()


def _decode(data: bytes, schema: pa.Schema, columns: list[str] | None, where: str) -> pa.Table:
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        version = int((file.schema_arrow.metadata or {}).get(b"schema_version", b"0"))
        if version > SCHEMA_VERSION:
            raise StoreError(
                f"{where}: schema_version must be at most {SCHEMA_VERSION}, got {version}: "
                "the store was written by a newer stacnet"
            )
        wanted = columns or schema.names
        table = file.read([name for name in wanted if name in file.schema_arrow.names])
    except (pa.ArrowInvalid, OSError) as error:
        raise TornPartError(f"{where}: a part must be Parquet, got {error}") from None
    present = table.column_names
    arrays = [
        table[field.name].cast(field.type)
        if field.name in present
        else pa.nulls(table.num_rows, field.type)
        for field in (schema.field(name) for name in wanted)
    ]
    return pa.table(arrays, schema=pa.schema([schema.field(name) for name in wanted]))
