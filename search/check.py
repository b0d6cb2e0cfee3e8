"""`stac status --check`: every rule that a store must keep, and who breaks it."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from search.cells import FINAL
from search.errors import StoreError
from search.extras import extended, read_extras
from search.ledger import History
from search.manifest import load
from search.schema import CELLS, EPOCHS
from search.store import KEY, Store
from search.study import Exhaustive


def check(store: Store) -> list[str]:
    """All broken rules, one sentence each; empty for a sound store.

    Raises:
        StudyError: there is no study.
    """
    study = store.study()
    broken = [*_files(store, "cells", CELLS), *_files(store, "epochs", EPOCHS)]
    rows = store.cells([*KEY, "attempt", "status", "epochs"])
    broken += _epochs(store, rows)
    manifest = load(store.storage)
    if manifest is not None:
        fresh = set(study.finalists.seeds) - set(study.seeds)
        broken += [
            f"{name}: a network must be in the manifest, got one that is not"
            for name, seed in zip(
                rows["network_id"].to_pylist(), rows["seed"].to_pylist(), strict=True
            )
            if name not in manifest.members and seed not in fresh
        ]
    if not store.storage.exists("lease.json"):
        broken += _owed(store)
    return broken


def _owed(store: Store) -> Iterator[str]:
    """What a study at rest still owes."""
    study, manifest = store.study(), load(store.storage)
    final = History(store, study).final(study.max_attempts)
    own = sum(key[2] in study.seeds for key in final)
    strategy = extended(study, read_extras(store.storage)).strategy
    networks = len(manifest) if manifest else study.space.size()
    wanted = networks if isinstance(strategy, Exhaustive) else min(strategy.trials, networks)
    if own < wanted * len(study.seeds):
        yield f"a finished study has {wanted * len(study.seeds)} cells, got {own}: stac resume"


def _files(store: Store, folder: str, schema: pa.Schema) -> Iterator[str]:
    for name in store.part_names(folder):
        where = f"{folder}/{name}"
        try:
            data = store.storage.read(where)
            found = pq.read_schema(pa.BufferReader(data))
            store.read_part(folder, name)
        except FileNotFoundError:
            continue  # merged meanwhile
        except (StoreError, pa.ArrowInvalid, OSError) as error:
            yield f"{where}: a part must be whole, got {error}"
            continue
        for field in schema:
            index = found.get_field_index(field.name)
            if index >= 0 and found.field(index).type != field.type:
                got = found.field(index).type
                yield f"{where}: {field.name} must be of type {field.type}, got {got}"


def _epochs(store: Store, rows: pa.Table) -> Iterator[str]:
    """Epochs are 1, 2, 3, ... up to the cell's number, and the clock never goes back."""
    table = store.epochs([*KEY, "epoch", "cum_s"])
    keys = list(zip(*(table[name].to_pylist() for name in KEY), strict=True))
    epoch_N, cum_N = table["epoch"].to_numpy(), table["cum_s"].to_numpy()
    bounds: dict[tuple, tuple[int, int]] = {}
    for row, key in enumerate(keys):
        bounds[key] = (bounds.get(key, (row, row))[0], row + 1)
    for row in rows.to_pylist():
        key = tuple(row[name] for name in KEY)
        start, end = bounds.get(key, (0, 0))
        cell_id = "-".join(map(str, key))
        if not np.array_equal(epoch_N[start:end], np.arange(1, end - start + 1)):
            yield f"{cell_id}: epochs must be contiguous from 1, got {epoch_N[start:end].tolist()}"
        if np.any(np.diff(cum_N[start:end]) < 0):
            yield f"{cell_id}: cum_s must not decrease, got {cum_N[start:end].tolist()}"
        if row["status"] in FINAL and row["epochs"] != end - start:
            yield f"{cell_id}: epochs must be all there, got {end - start} of {row['epochs']}"
