"""Merges the many small files of a store; a crash in between leaves only rows that count once."""

import tempfile
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from search.cells import Job
from search.errors import StoreError
from search.schema import CELLS, EPOCHS
from search.store import KEY, MERGED, Store, TornPartError
from search.watcher import Watcher

BATCH = 1000  # loose files that are worth a merge
Folder = Literal["cells", "epochs"]


def merge_loose(store: Store) -> int:
    """Put the files of single attempts into merged ones, `BATCH` at a time; how many it took."""
    taken = 0
    for folder in ("epochs", "cells"):
        loose = store.loose(folder)
        for start in range(0, len(loose), BATCH):
            names = loose[start : start + BATCH]
            tables = dict(_whole(store, folder, names))
            if tables:
                store.write_merged(folder, pa.concat_tables(tables.values()))
            for name in tables:
                store.storage.delete(f"{folder}/{name}")
            taken += len(tables)
    return taken


def merge_all(store: Store) -> None:
    """One file for each table, with `is_canonical` filled in; memory is bounded by one old file."""
    merge_loose(store)
    canonical = _canonical_attempts(store)
    for folder in ("epochs", "cells"):
        names = [name for name in store.part_names(folder) if name.startswith(MERGED)]
        if not names:
            continue
        with tempfile.TemporaryDirectory(prefix="stac-compact-") as scratch:
            target = Path(scratch) / "table.parquet"
            _stream(store, folder, names, target, canonical)
            store.storage.upload(f"{folder}/{MERGED}{uuid.uuid4().hex}.parquet", target)
        for name in names:
            store.storage.delete(f"{folder}/{name}")


class Merger(Watcher):
    """Watches a search and merges in the background, so that resume and status read few files."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._since = len(store.loose("cells"))
        self._thread: Thread | None = None

    def ended(self, job: Job, status: str, report: dict[str, Any]) -> None:
        """Count; merge when it is worth it."""
        self._since += 1
        if self._since >= BATCH and (self._thread is None or not self._thread.is_alive()):
            self._since = 0
            self._thread = Thread(target=self._merge, name="merger", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Wait for the merge under way."""
        if self._thread is not None:
            self._thread.join()

    def _merge(self) -> None:
        with suppress(StoreError, FileNotFoundError):  # whatever stays loose is merged later
            merge_loose(self._store)


def _whole(store: Store, folder: Folder, names: list[str]) -> Iterator[tuple[str, pa.Table]]:
    for name in names:
        with suppress(TornPartError):  # stays where it is, for `stac status --check`
            yield name, store.read_part(folder, name)


def _canonical_attempts(store: Store) -> set[tuple]:
    keys = store.cells([*KEY, "attempt"])
    return set(zip(*(keys[name].to_pylist() for name in keys.column_names), strict=True))


def _stream(
    store: Store, folder: Folder, names: list[str], target: Path, canonical: set[tuple]
) -> None:
    """Write all rows once, file after file."""
    keys = [*KEY, "attempt"] if folder == "cells" else [*KEY, "attempt", "epoch"]
    seen: set[tuple] = set()
    with pq.ParquetWriter(
        target, CELLS if folder == "cells" else EPOCHS, compression="zstd"
    ) as out:
        for _, table in _whole(store, folder, names):
            columns = [table[name].to_pylist() for name in keys]
            rows = list(zip(*columns, strict=True))
            fresh = [i for i, row in enumerate(rows) if not (row in seen or seen.add(row))]
            if folder == "cells":
                counts = pa.array([row in canonical for row in rows])
                where = table.schema.get_field_index("is_canonical")
                table = table.set_column(where, CELLS.field("is_canonical"), counts)
            out.write_table(table.take(pa.array(fresh, pa.int64())) if len(fresh) < len(rows) else table)
