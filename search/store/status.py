"""How far a study is: counts, best, cost, time to go; from its store alone, also while it runs."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from search.errors import StoreError
from search.store.extras import Extras, extended, finalist_trainings
from search.store.lease import Beat, is_dead_here, read_beat
from search.store.manifest import load_or_list
from search.store.own import Own, best_network, own
from search.store.part import KEY
from search.store.parts import codes, is_in, only
from search.store.past import Past
from search.store.storage import Storage
from search.store.store import Store
from search.study.ends import FINAL, OWN_FAULTS
from search.study.metrics import METRICS
from search.study.networks import Networks, num_trainings
from search.study.study import Study

QUIET_S = 60.0  # a heartbeat older than this is shown as lost
EFFORT = ("device_s", "wasted_device_s", "wall_s", "hostname", "device_name")


@dataclass(frozen=True, kw_only=True)
class Spending:
    """Device seconds by machine and device; device is null where the worker was lost."""

    hostname: str | None
    device_name: str | None
    device_s: float


@dataclass(frozen=True, kw_only=True)
class Status:
    """Where a study stands. Trainings are counted once, whatever their attempts.

    Args:
        cells: trainings planned, finalists included (the word of older output).
        failed: given up, after too many faults of their own.
        running: in workers' hands now.
        missing: planned and neither ended nor running.
        best: mean of the first objective over the study's seeds, of the best network.
        best_network: its network id.
        device_s, wasted_device_s: of all attempts; seconds times device share.
        eta_s: to the end at the present pace; None if nothing runs.
        driver: who drives it, empty if nobody.
        damaged: files that were left out; `stac status --check` names them.
    """

    name: str
    cells: int
    complete: int
    pruned: int
    diverged: int
    failed: int
    running: int
    missing: int
    best: float | None
    best_network: str | None
    device_s: float
    wasted_device_s: float
    eta_s: float | None
    driver: str
    damaged: int
    spending: tuple[Spending, ...]


def status(store: Store | Past, *, curves: bool = True) -> Status:
    """Read the store and the lease; files that are damaged or foreign are left out.

    Args:
        store: or a look at it with `EFFORT` and the first objective among its columns.
        curves: whether a training must have its epochs to count. Without, half is read; what is
            lost then shows in `stac status --check` and in the next run.

    Raises:
        StudyError: there is no study, or it is of a newer version.
    """
    past = store if isinstance(store, Past) else _look(store)
    study, storage = past.study, past.store.storage
    extras, damaged = extras_of(past)
    # Not past.networks, which lists any space; nor is who drives the study now of the past.
    mine, beat = own_of(study, extras, among := load_or_list(storage, study)), _beat(storage)
    found = past.attempts if curves else past.believed
    is_own_N = mine.mask(found.table)
    table = only(found.table, is_own_N)
    canonical = only(table, found.canonical_N[is_own_N])
    running = len(beat.running) if beat else 0
    counts = _counts(canonical, table, study)
    planned = planned_trainings(study, extras, among)
    missing = max(planned - sum(counts.values()) - running, 0)
    best_network_id, best = best_network(canonical, study, among) or (None, None)
    return Status(
        name=study.name,
        cells=planned,
        **counts,
        running=running,
        missing=missing,
        best=best,
        best_network=best_network_id,
        device_s=_sum(table, "device_s"),
        wasted_device_s=_sum(table, "wasted_device_s"),
        eta_s=_eta_s(canonical, running=running, missing=missing),
        driver=f"{beat.hostname}, pid {beat.pid}, heartbeat {beat.beat_at}" if beat else "",
        damaged=damaged + len(found.damaged),
        spending=_spending(table),
    )


def own_of(study: Study, extras: Extras, among: Networks | None) -> Own:
    """What is the study's own, finalists included."""
    return own(study, among, (training.key for training in finalist_trainings(study, extras, None)))


def extras_of(past: Past) -> tuple[Extras, int]:
    """The additions, and how many files of them are damaged."""
    try:
        return past.extras, 0
    except StoreError:
        return Extras(), 1


def _look(store: Store) -> Past:
    """What no more than a status needs."""
    metric = METRICS[store.study().objectives[0].metric]
    return Past(store, columns=[metric, "macs", *EFFORT], curve=None)


def _beat(storage: Storage) -> Beat | None:
    """Of the driver who lives; a damaged lease is named by `stac status --check`."""
    try:
        return _living(read_beat(storage))
    except StoreError:
        return None


def planned_trainings(study: Study, extras: Extras, among: Networks | None) -> int:
    """How many trainings a study comes to, finalists included."""
    fresh = len(finalist_trainings(study, extras, None))
    return num_trainings(extended(study, extras), among) + fresh


def _counts(canonical: pa.Table, table: pa.Table, study: Study) -> dict[str, int]:
    """Trainings that ended, by how, and those given up after too many faults of their own."""
    states = canonical["status"]
    open_N, fault_N = codes(
        [only(canonical, ~is_in(states, FINAL)), only(table, is_in(table["status"], OWN_FAULTS))],
        KEY,
    )
    given_up_N = np.flatnonzero(np.bincount(fault_N) >= study.max_attempts)
    counts = {name: int(is_in(states, {name}).sum()) for name in sorted(FINAL)}
    return counts | {"failed": int(np.isin(open_N, given_up_N).sum())}


def _eta_s(canonical: pa.Table, *, running: int, missing: int) -> float | None:
    is_complete_N = is_in(canonical["status"], frozenset({"complete"}))
    wall_N = canonical["wall_s"].to_numpy()[is_complete_N]
    if not running or not len(wall_N):
        return None
    return float(np.nanmean(wall_N)) * (missing + running / 2) / running


def _sum(table: pa.Table, column: str) -> float:
    return float(np.nansum(table[column].to_numpy().astype(float)))


def _spending(table: pa.Table) -> tuple[Spending, ...]:
    names = ["hostname", "device_name"]
    texts = [table[name].cast(pa.string()) for name in names]
    spent = pa.table([*texts, table["device_s"]], [*names, "device_s"])
    grouped = spent.group_by(names).aggregate([("device_s", "sum")])
    rows = grouped.to_pylist()
    return tuple(
        Spending(
            hostname=row["hostname"],
            device_name=row["device_name"],
            device_s=row["device_s_sum"] or 0.0,
        )
        for row in sorted(rows, key=lambda row: -(row["device_s_sum"] or 0.0))
    )


def _living(beat: Beat | None) -> Beat | None:
    if beat is None or is_dead_here(beat):
        return None
    age = (datetime.now(UTC) - datetime.fromisoformat(beat.beat_at)).total_seconds()
    return beat if age < QUIET_S else None
