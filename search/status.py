"""How far a study is: counts, best, cost, time to go; from its store alone, also while it runs."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from search.cells import FINAL, METRICS, OWN_FAULTS
from search.extras import Extras, extended, finalist_cells, read_extras
from search.lease import Beat, is_dead_here, read_beat
from search.manifest import Manifest, load
from search.store import KEY, Store
from search.study import Exhaustive, Study

QUIET_S = 60.0  # a heartbeat older than this is shown as lost


@dataclass(frozen=True, kw_only=True)
class Spending:
    """Device seconds by machine and device; device is null where the worker was lost."""

    hostname: str | None
    device_name: str | None
    device_s: float


@dataclass(frozen=True, kw_only=True)
class Status:
    """Where a study stands. Cells are counted once, whatever their attempts.

    Args:
        cells: planned, finalists included.
        failed: given up, after too many faults of their own.
        running: in workers' hands now.
        missing: planned and neither ended nor running.
        best: value of the first objective of the best complete cell.
        best_network: its network id.
        device_s, wasted_device_s: of all attempts; seconds times device share.
        eta_s: to the end at the present pace; None if nothing runs.
        driver: who drives it, empty if nobody.
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
    spending: tuple[Spending, ...]


def status(store: Store) -> Status:
    """Read the store and the lease.

    Raises:
        StudyError: there is no study, or it is of a newer version.
    """
    study, extras = store.study(), read_extras(store.storage)
    metric = METRICS[study.objectives[0].metric]
    effort = ["device_s", "wasted_device_s", "wall_s", "hostname", "device_name"]
    columns = [*KEY, "status", "is_canonical", metric, *effort]
    table = store.cells(columns, all_attempts=True)
    canonical = table.filter(table["is_canonical"])
    beat = _living(read_beat(store.storage))
    running = len(beat.running) if beat else 0
    counts = _counts(canonical, table, study)
    planned = planned_cells(study, extras, load(store.storage))
    missing = max(planned - sum(counts.values()) - running, 0)
    best, best_network = _best(canonical, metric, study)
    return Status(
        name=study.name,
        cells=planned,
        **counts,
        running=running,
        missing=missing,
        best=best,
        best_network=best_network,
        device_s=_sum(table, "device_s"),
        wasted_device_s=_sum(table, "wasted_device_s"),
        eta_s=_eta_s(canonical, running=running, missing=missing),
        driver=f"{beat.hostname}, pid {beat.pid}, heartbeat {beat.beat_at}" if beat else "",
        spending=_spending(table),
    )


def planned_cells(study: Study, extras: Extras, manifest: Manifest | None) -> int:
    """How many cells a study comes to, finalists included."""
    if isinstance(study.strategy, Exhaustive):
        networks = len(manifest) if manifest else study.space.size()
    else:
        trials = extended(study, extras).strategy.trials  # type: ignore[union-attr]
        networks = min(trials, len(manifest)) if manifest else trials
    return networks * len(study.seeds) + len(finalist_cells(study, extras, None))


def _counts(canonical: pa.Table, table: pa.Table, study: Study) -> dict[str, int]:
    states = canonical["status"].to_pylist()
    counts = {name: states.count(name) for name in sorted(FINAL)}
    faults: dict[tuple, int] = {}
    open_rows = [i for i, state in enumerate(table["status"].to_pylist()) if state in OWN_FAULTS]
    for row in table.select([*KEY]).take(pa.array(open_rows, pa.int64())).to_pylist():
        key = tuple(row.values())
        faults[key] = faults.get(key, 0) + 1
    unended = [i for i, state in enumerate(states) if state not in FINAL]
    keys = [
        tuple(row.values())
        for row in canonical.select([*KEY]).take(pa.array(unended, pa.int64())).to_pylist()
    ]
    return counts | {"failed": sum(faults.get(key, 0) >= study.max_attempts for key in keys)}


def _best(canonical: pa.Table, metric: str, study: Study) -> tuple[float | None, str | None]:
    complete_N = canonical["status"].to_numpy() == "complete"
    value_N = np.where(complete_N, canonical[metric].to_numpy().astype(float), math.nan)
    if not np.isfinite(value_N).any():
        return None, None
    pick = np.nanargmax if study.objectives[0].direction == "maximize" else np.nanargmin
    row = int(pick(value_N))
    return float(value_N[row]), canonical["network_id"][row].as_py()


def _eta_s(canonical: pa.Table, *, running: int, missing: int) -> float | None:
    wall_N = canonical["wall_s"].to_numpy()[canonical["status"].to_numpy() == "complete"]
    if not running or not len(wall_N):
        return None
    return float(np.nanmean(wall_N)) * (missing + running / 2) / running


def _sum(table: pa.Table, column: str) -> float:
    return float(np.nansum(table[column].to_numpy().astype(float)))


def _spending(table: pa.Table) -> tuple[Spending, ...]:
    grouped = table.group_by(["hostname", "device_name"]).aggregate([("device_s", "sum")])
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
