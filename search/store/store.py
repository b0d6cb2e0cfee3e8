"""The store of one study: what was planned and what has been finished, in Parquet."""

import json
import uuid
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa

from search.errors import StoreError
from search.store.attempts import Attempts, curves_of, read_attempts
from search.store.part import IDENTITY, MERGED, DamagedPartError, Folder, single
from search.store.parts import loose, part_names, plain, read_all, read_part
from search.store.rows import code_facts
from search.store.schema import CELLS, EPOCHS
from search.store.sealed import file_name, stem_of, terse, to_parquet
from search.store.storage import Storage
from search.study.ends import FINAL, End
from search.study.study import Study, first_difference, study_from_json
from search.study.training import Job
from stacnet.named_spec import SOURCES, NamedSpec, source_known
from stacnet.spec import NetworkSpec

STUDY_FILE = "study.json"
CODE = "code"  # its field that is not the study's: commit and versions it began with


def source_file(base: NamedSpec) -> str:
    """Where the file is kept that a network which is not ours is made in."""
    return f"sources/{base.source}.py"


class Store:
    """Reads and writes the folder of a study; any number of readers, workers and machines.

    A finished attempt is one file in `epochs/` and then one in `cells/`, both named by training,
    attempt, lease and a digest of their bytes: no file is ever replaced by another. Merged files
    hold many; a row that is in two files counts once.

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
            plain = self.storage.read_json(STUDY_FILE)
            code = plain.pop(CODE, {})
        except FileNotFoundError:
            raise StoreError(f"a study folder must hold {STUDY_FILE}, got {self.address}") from None
        except (AttributeError, TypeError) as error:
            raise StoreError(f"{source}: must be a JSON object: {error}") from None
        study = study_from_json(json.dumps(plain), source=source)
        self._know_source(study.space.base)
        return study, code

    def _know_source(self, base: NetworkSpec) -> None:
        """Remember the file that the study's network is made in, wherever this is."""
        if isinstance(base, NamedSpec) and base.source and base.source not in SOURCES:
            with suppress(FileNotFoundError):  # it is missed where the network is made
                source_known(self.storage.read(source_file(base)).decode(errors="replace"))

    def begin(self, study: Study) -> None:
        """Write the study and the code it begins with, or make sure that it is the one here.

        Raises:
            StoreError: another study is here; the field that differs is named.
        """
        if not self.exists():
            base = study.space.base
            if isinstance(base, NamedSpec) and base.source:
                self.storage.write(source_file(base), SOURCES[base.source].encode())
            plain = json.loads(study.to_json()) | {CODE: code_facts()}
            self.storage.write_json(STUDY_FILE, plain)
            return
        difference = first_difference(self.study(), study)
        if difference:
            raise StoreError(
                f"a study must not change once begun, got another {difference} in {self.address}"
            )

    def trainings(
        self,
        columns: Iterable[str] | None = None,
        *,
        all_attempts: bool = False,
        owed: bool = False,
    ) -> pa.Table:
        """Rows of `trainings`: by default the one that counts for each training.

        Args:
            columns: names to read; all by default.
            all_attempts: every attempt instead, with `is_canonical` filled in.
            owed: with those whose curve is lost, as `preempted`: their trainings are trained again.

        Raises:
            StoreError: a file is of a newer version.
        """
        wanted = list(columns) if columns is not None else CELLS.names
        found = read_attempts(self.storage, wanted, owed=owed)
        table, canonical = found.table, pa.array(found.canonical_N)
        table = table.append_column("is_canonical", canonical)
        if not all_attempts:
            table = table.filter(canonical)
        return plain(table.select(wanted), CELLS)

    def attempts(self, columns: Iterable[str] = (), *, curves: bool = True) -> Attempts:
        """The same with texts as dictionaries, and what was left out: for many rows."""
        return read_attempts(self.storage, list(columns), curves=curves)

    def epochs(self, columns: Iterable[str] | None = None) -> pa.Table:
        """Rows of `epochs` of the attempts that count, by training and epoch."""
        wanted = list(columns) if columns is not None else EPOCHS.names
        found = self.attempts()
        needed = list(dict.fromkeys([*IDENTITY, "epoch", *wanted]))
        return curves_of(found, read_all(self.storage, "epochs", needed).tables, wanted)

    def write_attempt(
        self, job: Job, row: dict[str, Any], epochs: list[dict[str, Any]], *, lost: bool = False
    ) -> None:
        """Store one finished attempt: its epochs, then its row.

        Args:
            lost: whether the driver writes it in place of the worker.
        """
        stem = f"{job.part}-lost" if lost else job.part
        if epochs:
            table = pa.Table.from_pylist(epochs, schema=terse(EPOCHS))
            self._write_part("epochs", stem, to_parquet(table, small=True))
        self._write_part("cells", stem, single(row))

    def attempt_status(self, job: Job) -> End | None:
        """Status in the worker's own row of an attempt that is not merged yet; None without one.

        Raises:
            StorageError: the storage fails.
        """
        names = [name for name in self.part_names("cells") if stem_of(name) == job.part]
        found = []
        for name in names:
            try:
                found += self.read_part("cells", name, ["status"])["status"].to_pylist()
            except (DamagedPartError, FileNotFoundError):
                continue
        return max(found, key=lambda status: status in FINAL, default=None)

    def write_merged(self, folder: Folder, table: pa.Table) -> str:
        """Store many rows of `trainings` or `epochs` as one file; its name."""
        data = to_parquet(table.cast(terse(table.schema)))
        return self._write_part(folder, f"{MERGED}{uuid.uuid4().hex}", data)

    def loose(self, folder: str) -> list[str]:
        """Names of the files of single attempts in `trainings` or `epochs`."""
        return loose(self.storage, folder)

    def part_names(self, folder: str) -> list[str]:
        """Names of all files in `trainings` or `epochs`."""
        return part_names(self.storage, folder)

    def read_part(self, folder: str, name: str, columns: list[str] | None = None) -> pa.Table:
        """One file, brought to today's schema.

        Raises:
            FileNotFoundError: it is gone (merged meanwhile).
            DamagedPartError: it is no whole part of its table.
            StoreError: it is of a newer version.
        """
        schema = CELLS if folder == "cells" else EPOCHS
        return read_part(self.storage, folder, name, columns or schema.names)

    def _write_part(self, folder: str, stem: str, data: bytes) -> str:
        name = file_name(folder, stem, data)
        self.storage.write(f"{folder}/{name}", data)
        return name

    def write_weights(self, training_id: str, data: bytes) -> None:
        """Keep the weights of a training (`stacnet.checkpoint.dumps` of the model's state)."""
        self.storage.write(f"weights/{training_id}.pt", data)

    def weights(self, training_id: str) -> dict[str, Any] | None:
        """State of the training's model, or None if it was not kept.

        Raises:
            StoreError: the file is damaged.
        """
        from stacnet.checkpoint import CheckpointError, loads

        name = f"weights/{training_id}.pt"
        try:
            return loads(self.storage.read(name)) if self.storage.exists(name) else None
        except CheckpointError as error:
            raise StoreError(f"{self.address}/{name}: {error}") from None
