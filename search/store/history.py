"""The attempts at each training so far: what a run, a repair and an export begin with."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from search.store.part import KEY
from search.store.parts import rows
from search.store.store import Store
from search.study.ends import FINAL, OWN_FAULTS, End
from search.study.study import Study
from search.study.training import Key, Training, id_of
from stacnet.spec import NetworkSpec, spec_from_dict

COLUMNS = (*KEY, "attempt", "lease", "status", "order", "device_fraction", "is_canonical")
TRAINING = (*KEY, "spec_json", "point", "suggested_by")  # of which `training_of` makes one


@dataclass(kw_only=True)
class Record:
    """The attempts at one training so far."""

    attempts: int = 0
    own_faults: int = 0
    status: End | None = None
    gpus: float | None = None
    is_promoted: bool = False

    def is_final(self, max_attempts: int) -> bool:
        """Whether no further attempt is due: an end that counts, or too many faults of its own."""
        return self.status in FINAL or self.own_faults >= max_attempts


class History:
    """All attempts at trainings of the study's protocol and seeds, by training.

    Args:
        table: every attempt that counts, with `COLUMNS`.
    """

    def __init__(self, table: pa.Table, study: Study) -> None:
        self.records: dict[Key, Record] = {}
        self.attempts: set[tuple[Key, int, str]] = set()
        self.orders = 0
        seeds = (*study.seeds, *study.finalists.seeds)
        is_own = pc.field("protocol_id") == study.protocol.protocol_id
        table = table.filter(is_own & pc.field("seed").isin(seeds))
        for network_id, of, seed, attempt, lease, status, order, share, counts in rows(
            table, COLUMNS
        ):
            key = (network_id, of, seed)
            record = self.records.setdefault(key, Record())
            record.attempts = max(record.attempts, attempt + 1)
            record.own_faults += status in OWN_FAULTS
            record.status = status if counts else record.status
            if status == "oom" and share:
                record.gpus = max(record.gpus or 0.0, min(1.0, 2 * share))
            self.attempts.add((key, attempt, lease or ""))
            self.orders = max(self.orders, (order or 0) + 1)

    def promote(self, training_ids: Iterable[str]) -> None:
        """Pruned trainings that shall be trained to their end."""
        wanted = set(training_ids)
        for key, record in self.records.items() if wanted else ():
            if record.status == "pruned" and id_of(key) in wanted:
                record.status, record.is_promoted = None, True

    def final(self, max_attempts: int) -> set[Key]:
        """Trainings that need no further attempt."""
        return {key for key, record in self.records.items() if record.is_final(max_attempts)}


def read_history(store: Store, study: Study) -> History:
    """What the store holds now."""
    return History(store.trainings(COLUMNS, all_attempts=True, owed=True), study)


def begun_trainings(store: Store, history: History, *, max_attempts: int) -> list[Training]:
    """Trainings with attempts that did not end for good, in the order of their first hand-out."""
    open_keys = {
        key for key, record in history.records.items() if not record.is_final(max_attempts)
    }
    if not open_keys:
        return []
    table = store.trainings([*TRAINING, "order"], owed=True)
    table = table.filter(pc.field("network_id").isin(sorted({key[0] for key in open_keys})))
    rows = sorted(table.to_pylist(), key=lambda row: row["order"] or 0)
    return [training_of(row) for row in rows if tuple(row[name] for name in KEY) in open_keys]


def training_of(row: dict[str, Any]) -> Training:
    """The training that a row of `trainings` is about."""
    return Training(
        spec=_spec(row["spec_json"]),
        protocol_id=row["protocol_id"],
        seed=row["seed"],
        point=row["point"],
        suggested_by=row["suggested_by"],
    )


@lru_cache(maxsize=100_000)
def _spec(text: str) -> NetworkSpec:
    """One value for all trainings of a network, which then hashes its description once."""
    return spec_from_dict(json.loads(text))
