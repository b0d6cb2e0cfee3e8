"""A store that is large: status, check, what a resume reads, and compaction; seconds and memory.

`status` and `check` are `stac status DIR` and `stac status DIR --check`, `curves` what a search
prints at its end: a status that also looks whether every training has its epochs.

Run: python benchmarks/store_size.py [--loose 200000] [--merged 1000000] [--keep FOLDER]

Every training has three epochs. Each figure is of a process of its own, with the start of Python;
memory is its high-water mark.
"""

import argparse
import io
import json
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import redirect_stdout, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scale import study  # pyright: ignore[reportMissingImports]

from search.store.manifest import load_or_make
from search.store.part import ROW, Folder, single
from search.store.rows import Effort, epoch_rows, training_row
from search.store.schema import CELLS, EPOCHS
from search.store.sealed import file_name, terse
from search.store.store import Store
from search.study.study import Study
from search.study.training import Job, Training
from stacnet.protocol import EpochResult

NETWORKS = 512
SEED = 1_000_000  # of the first trainings; all have as many digits
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
STEPS = {
    "loose": ("status", "curves", "check", "read", "compact", "check"),
    "merged": ("status", "curves", "check", "read"),
}


def plan(trainings: int, *, of: Study, networks: int = NETWORKS) -> Study:
    """The study with so many seeds that its first networks have about so many trainings."""
    seeds = 2 * round(trainings / networks / 2)
    fresh = replace(of.finalists, seeds=(0,))
    return replace(of, seeds=tuple(range(SEED, SEED + seeds)), finalists=fresh)


def made(wanted: Study) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Row and epochs of one training of each network, with the seed `SEED`."""
    with tempfile.TemporaryDirectory() as scratch:
        among = load_or_make(Store(scratch).storage, wanted)
    assert among is not None
    effort = Effort(started_at=MOMENT, ended_at=MOMENT, wall_s=9.0, hostname="h", device_name="d")
    found = []
    for point in among.points[:NETWORKS]:
        protocol_id = wanted.protocol.protocol_id
        training = Training(
            spec=wanted.space.spec(point), protocol_id=protocol_id, seed=SEED, point=point
        )
        job = Job(training=training, attempt=0, order=0, gpus=0.0, lease="0" * 32)
        accuracy = float(np.random.default_rng(point).uniform(0.2, 0.9))
        facts = {"val_acc_last": accuracy, "val_loss_last": 1 - accuracy, "epochs": 3}
        facts |= {"test_acc_last": accuracy, "params": 5000, "macs": 70000, "train_s": 8.0}
        row = training_row(job, wanted, status="complete", effort=effort, facts=facts)
        shape = {"train_acc": accuracy, "lr": 0.1, "train_s": 2.0, "eval_s": 1.0, "resumed": False}
        shape |= {"train_loss": 1 - accuracy, "val_loss": 1 - accuracy, "val_acc": accuracy}
        results = [EpochResult(epoch=epoch, cum_s=3.0 * epoch, **shape) for epoch in (1, 2, 3)]
        found.append((row | {"is_canonical": True}, epoch_rows(job, results)))
    return found


def fill_loose(out: str, wanted: Study) -> None:
    """Parts as workers leave them: of each network one is made, the others differ in the seed."""
    for row, epochs in made(wanted):
        tables = {"epochs": (epochs, EPOCHS, {}), "cells": ([row], CELLS, notes(row))}
        for folder, (rows, schema, about) in tables.items():
            sink = io.BytesIO()
            shape: dict[str, Any] = {"use_dictionary": False, "write_statistics": False}
            shape["compression"] = "none"  # so that the seed's bytes stand there as they are
            table = pa.Table.from_pylist(rows, schema=terse(schema))
            with pq.ParquetWriter(sink, table.schema, **shape) as writer:  # no checksum would fit
                writer.write_table(table)
                writer.add_key_value_metadata(about)
            for seed in wanted.seeds:
                data = sink.getvalue().replace(
                    SEED.to_bytes(8, "little"), seed.to_bytes(8, "little")
                )
                data = data.replace(f'"seed": {SEED}'.encode(), f'"seed": {seed}'.encode())
                stem = f"{row['network_id']}-{row['protocol_id']}-{seed}-0-{row['lease']}"
                (Path(out) / folder / file_name(folder, stem, data)).write_bytes(data)


def notes(row: dict[str, Any]) -> dict[bytes, bytes]:
    """What the footer of the row's part says."""
    about = pq.read_metadata(io.BytesIO(single(row))).metadata
    return {ROW.encode(): about[ROW.encode()]}


def fill_merged(out: str, wanted: Study) -> None:
    """Merged files of two trainings of each network."""
    store, found = Store(out), made(wanted)
    rows = pa.Table.from_pylist([row for row, _ in found], schema=CELLS)
    epochs = pa.Table.from_pylist([one for _, some in found for one in some], schema=EPOCHS)
    seeds = wanted.seeds
    for pair in zip(seeds[::2], seeds[1::2], strict=True):
        tables: dict[Folder, pa.Table] = {"epochs": epochs, "cells": rows}
        for folder, table in tables.items():
            where = table.schema.get_field_index("seed")
            copies = [
                table.set_column(where, table.schema.field("seed"), pa.repeat(seed, len(table)))
                for seed in pair
            ]
            store.write_merged(folder, pa.concat_tables(copies))


def fill(out: str, kind: str, wanted: Study) -> None:
    """The whole store."""
    store = Store(out)
    store.begin(wanted)
    load_or_make(store.storage, wanted)
    for folder in ("cells", "epochs"):
        (Path(out) / folder).mkdir(exist_ok=True)
    (fill_loose if kind == "loose" else fill_merged)(out, wanted)


def step(name: str, out: str) -> None:
    """One thing that is measured; prints what it found and the memory."""
    store, found = Store(out), 0
    match name:
        case "status":
            found = json.loads(printed("status", out, "--json"))["complete"]
        case "curves":
            from search.store.status import status

            found = status(store).complete
        case "check":
            lines = printed("status", out, "--json", "--check").splitlines()[1:]
            found = 0 if lines == ["every rule of the store holds"] else len(lines)
        case "read":
            from search.store.history import read_history

            found = len(read_history(store, store.study()).records)
        case "compact":
            from search.store.compact import merge_all

            merge_all(store)
            found = len(store.part_names("cells")) + len(store.part_names("epochs"))
    print(found, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


def printed(*words: str) -> str:
    """What `stac` prints."""
    from stac.cli.main import main

    with redirect_stdout(io.StringIO()) as text, suppress(SystemExit):
        main(list(words))
    return text.getvalue()


def measure(out: str, kind: str, trainings: int) -> None:
    """A line for each step."""
    for name in STEPS[kind]:
        began, before = time.perf_counter(), _cpu_s()
        command = [sys.executable, __file__, "--step", name, out]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        spent, cpu = time.perf_counter() - began, _cpu_s() - before
        found, memory = done.stdout.split()
        line = f"{kind:8}{trainings:10}  {name:10}{spent:10.1f}{cpu:10.1f}{memory:>10}{found:>12}"
        print(line, flush=True)


def _cpu_s() -> float:
    """Processor time of all children so far."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loose", type=int, default=200_000)
    parser.add_argument("--merged", type=int, default=1_000_000)
    parser.add_argument("--keep", help="folder for the stores; one that is there is used again")
    arguments = parser.parse_args()
    print(
        f"{'store':8}{'trainings':>10}  {'step':10}{'s':>10}{'cpu s':>10}{'MB':>10}{'found':>12}",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as scratch:
        for kind in ("loose", "merged"):
            trainings = getattr(arguments, kind)
            out = str(Path(arguments.keep or scratch) / f"{kind}-{trainings}")
            if trainings and not Path(out).exists():
                fill(out, kind, plan(trainings, of=study(NETWORKS)))
            if trainings:
                measure(out, kind, trainings)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--step", name, out]:
            step(name, out)
        case _:
            main()
