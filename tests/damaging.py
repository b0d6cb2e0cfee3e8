"""Random damage to the files of a small store with every kind of file, and what its readers say."""

import hashlib
import json
import random
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from searches import cheap

from analysis.look.classmap import ClassRepMap, Reading
from analysis.predict.mapfile import map_from_parquet, map_to_parquet
from search.errors import StudyError
from search.store.compact import merge_loose
from search.store.damage import damages
from search.store.extras import Extras, Finalist, read_extras, write_extras
from search.store.manifest import load_or_make, read_manifest
from search.store.part import FOLDERS, IDENTITY
from search.store.rows import Effort, epoch_rows, training_row
from search.store.store import Store
from search.study.training import Job, Training
from stacnet.checkpoint import MAGIC, CheckpointError, prove
from stacnet.protocol import EpochResult

STUDY = cheap()
Outcome = Literal["same value", "named", "WRONG", "traceback"]
OUTCOMES: tuple[Outcome, ...] = ("same value", "named", "WRONG", "traceback")
Damage = Callable[[bytes, random.Random], bytes]


def attempt(store: Store, point: int, *, epochs: int = 3, status: str = "complete") -> Job:
    """Store an attempt whose numbers depend on the point."""
    spec = STUDY.space.spec(point)
    protocol_id = STUDY.protocol.protocol_id
    training = Training(spec=spec, protocol_id=protocol_id, seed=0, point=point)
    job = Job(training=training, attempt=0, order=point, gpus=0.0, lease=f"{point:032x}")
    moment = datetime(2026, 1, 1, 12, point, tzinfo=UTC)
    effort = Effort(started_at=moment, ended_at=moment, wall_s=2.5, hostname="h", device_name="d")
    accuracy = 1 / (2 + point)
    facts = {"epochs": epochs, "val_acc_last": accuracy, "params": 5, "macs": 7 + point}
    shape = {"train_acc": accuracy, "lr": 0.1, "train_s": 1.0, "eval_s": 0.5, "resumed": False}
    shape |= {"train_loss": 1.0, "val_loss": 1 - accuracy, "val_acc": accuracy}
    results = [EpochResult(epoch=e, cum_s=1.5 * e, **shape) for e in range(1, epochs + 1)]
    row = training_row(job, STUDY, status=status, effort=effort, facts=facts)
    store.write_attempt(job, row, epoch_rows(job, results))
    return job


def whole_store(folder: Path) -> Store:
    """Loose and merged parts, and one of each other kind of file."""
    store = Store(folder)
    store.begin(STUDY)
    load_or_make(store.storage, STUDY)
    for point in range(6):
        attempt(store, point)
    merge_loose(store)
    jobs = [attempt(store, point) for point in range(6, 9)]
    finalist = Finalist(spec=STUDY.space.base.to_dict(), reason="vanilla")
    write_extras(store.storage, Extras(trials=3, promoted=("a",), finalists=(finalist,)))
    store.storage.write_json("lease.json", {"owner": "x", "number": 7, "running": {}})
    store.storage.write_json("picks.json", {"picks": [{"name": "R1", "scores": [0.25, None]}]})
    store.storage.write_json("replays.json", {"replays": [{"name": "tpe", "solved": 0.5}]})
    shape = {name: 0.5 for name in Reading.__dataclass_fields__ if name not in ("matrix", "native")}
    shape |= {"source": "trained", "estimator": "knn", "place": "stage 1", "stage": 0, "cells": 4}
    counts = {name: 3 for name in ClassRepMap.__dataclass_fields__ if name != "readings"}
    reading = Reading(**shape, native=False, matrix=(0.5, 0.25))  # type: ignore[arg-type]
    chart = ClassRepMap(readings=(reading,), **counts)  # type: ignore[arg-type]
    store.storage.write("map.parquet", map_to_parquet(chart))
    store.storage.write("attended.parquet", map_to_parquet(chart))
    payload = bytes(range(256)) * 4
    framed = MAGIC + hashlib.sha256(payload).digest() + payload
    store.write_weights(jobs[0].training.training_id, framed)
    store.storage.write(f"checkpoints/{jobs[1].training.training_id}/000001-0-100.pt", framed)
    return store


def files(store: Store) -> list[str]:
    """All files, below the store's folder."""
    root = Path(store.address)
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def kind_of(name: str) -> str:
    """Kind of a file, for a table."""
    folder, _, file = name.rpartition("/")
    if folder in FOLDERS:
        return f"{folder}, {'merged' if file.startswith('merged-') else 'loose'}"
    return folder.partition("/")[0] or name


def values(store: Store, name: str) -> dict[Any, Any]:
    """What the readers of this file say, as facts that can be compared one by one."""
    match kind_of(name):
        case "study.json":
            return {"study": store.study(), "code": store.code()}
        case "extras.json":
            return {"extras": read_extras(store.storage)}
        case "manifest.parquet":
            return {"manifest": read_manifest(store.storage)[0].to_pylist()}
        case "map.parquet" | "attended.parquet":
            return {"map": map_from_parquet(store.storage.read(name), source=name)}
        case "weights" | "checkpoints":
            return {"bytes": prove(store.storage.read(name))}
        case "lease.json" | "picks.json" | "replays.json":
            return {"plain": json.dumps(store.storage.read_json(name))}
    rows = store.trainings(all_attempts=True).to_pylist()
    facts = {("training", *(row[column] for column in IDENTITY)): row for row in rows}
    for row in store.epochs().to_pylist():
        facts["epoch", *(row[column] for column in (*IDENTITY, "epoch"))] = row
    return facts


def outcome(store: Store, name: str, before: dict[Any, Any]) -> tuple[Outcome, str]:
    """What became of a damaged file, and how that was seen."""
    try:
        now, said = values(store, name), ""
    except (StudyError, CheckpointError) as error:
        now, said = {}, str(error)
    except Exception as error:  # any other is a traceback for the user: that is what is counted
        return "traceback", repr(error)
    other = {key: fact for key, fact in now.items() if before.get(key) != fact}
    if other:
        return "WRONG", str(other)[:300]
    if len(now) == len(before):
        return "same value", ""
    try:
        named = {damage.name for damage in damages(store)}
    except Exception as error:
        return "traceback", repr(error)
    return ("named", said) if name in named else ("WRONG", f"lost and not named: {said}")


def flipped(data: bytes, rng: random.Random) -> bytes:
    """One bit."""
    at = rng.randrange(8 * len(data))
    changed = bytearray(data)
    changed[at // 8] ^= 1 << at % 8
    return bytes(changed)


def truncated(data: bytes, rng: random.Random) -> bytes:
    """Its end is missing."""
    return data[: rng.randrange(len(data))]


def zeroed(data: bytes, rng: random.Random) -> bytes:
    """A page of zeros, as a file system leaves it."""
    size = rng.choice((16, 512, 4096))
    at = rng.randrange(len(data))
    return data[:at] + bytes(min(size, len(data) - at)) + data[at + size :]


def scrambled(data: bytes, rng: random.Random) -> bytes:
    """Some random bytes in the middle."""
    at, size = rng.randrange(len(data)), rng.randrange(1, 64)
    return data[:at] + rng.randbytes(size) + data[at + size :]


def lengthened(data: bytes, rng: random.Random) -> bytes:
    """Something behind its end."""
    return data + rng.randbytes(rng.randrange(1, 64))


DAMAGES: dict[str, Damage] = {
    "truncated": truncated,
    "zeroed": zeroed,
    "scrambled": scrambled,
    "lengthened": lengthened,
}


def damaged(
    store: Store, name: str, damage: Damage, before: dict[Any, Any], rng: random.Random
) -> tuple[Outcome, str]:
    """Damage one file, look, and put it back."""
    path = Path(store.address) / name
    data = path.read_bytes()
    path.write_bytes(damage(data, rng))
    try:
        return outcome(store, name, before)
    finally:
        path.write_bytes(data)


def swapped(store: Store, one: str, other: str, before: dict[Any, Any]) -> tuple[Outcome, str]:
    """Two files with each other's bytes, look, and put them back."""
    paths = [Path(store.address) / name for name in (one, other)]
    data = [path.read_bytes() for path in paths]
    for path, bytes_ in zip(paths, reversed(data), strict=True):
        path.write_bytes(bytes_)
    try:
        return outcome(store, one, before)
    finally:
        for path, bytes_ in zip(paths, data, strict=True):
            path.write_bytes(bytes_)
