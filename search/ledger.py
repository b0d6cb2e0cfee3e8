"""What is owed: hands out jobs, counts attempts by cause, and gives up on what keeps crashing."""

import json
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow.compute as pc

from search.cells import FINAL, OWN_FAULTS, Cell, Job, Key, Outcome
from search.errors import StudyError
from search.store import KEY, Store
from search.strategy import Strategy
from search.study import Study
from stacnet.spec import NetworkSpec

COLUMNS = (*KEY, "attempt", "lease", "status", "order", "device_fraction", "is_canonical")


@dataclass(kw_only=True)
class Record:
    """The attempts at one cell so far."""

    attempts: int = 0
    own_faults: int = 0
    status: str = ""
    gpus: float | None = None
    is_promoted: bool = False

    def is_final(self, max_attempts: int) -> bool:
        """Whether no further attempt is due: an end that counts, or too many faults of its own."""
        return self.status in FINAL or self.own_faults >= max_attempts


class History:
    """All attempts in the store at cells of the study's protocol and seeds, by cell."""

    def __init__(self, store: Store, study: Study) -> None:
        self.records: dict[Key, Record] = {}
        self.attempts: set[tuple[Key, int, str]] = set()
        self.orders = 0
        table = store.cells(COLUMNS, all_attempts=True, owed=True)
        seeds = (*study.seeds, *study.finalists.seeds)
        is_own = pc.field("protocol_id") == study.protocol.protocol_id
        table = table.filter(is_own & pc.field("seed").isin(seeds))
        columns = [table[name].to_pylist() for name in COLUMNS]
        rows = zip(*columns, strict=True)
        for network_id, of, seed, attempt, lease, status, order, share, counts in rows:
            key = (network_id, of, seed)
            record = self.records.setdefault(key, Record())
            record.attempts = max(record.attempts, attempt + 1)
            record.own_faults += status in OWN_FAULTS
            record.status = status if counts else record.status
            if status == "oom" and share:
                record.gpus = max(record.gpus or 0.0, min(1.0, 2 * share))
            self.attempts.add((key, attempt, lease or ""))
            self.orders = max(self.orders, (order or 0) + 1)

    def promote(self, cell_ids: Iterable[str]) -> None:
        """Pruned cells that shall be trained to their end."""
        wanted = set(cell_ids)
        for key, record in self.records.items() if wanted else ():
            if record.status == "pruned" and "-".join(map(str, key)) in wanted:
                record.status, record.is_promoted = "promoted", True

    def final(self, max_attempts: int) -> set[Key]:
        """Cells that need no further attempt."""
        return {key for key, record in self.records.items() if record.is_final(max_attempts)}


class Ledger:
    """Hands out jobs: first the cells that were begun, then what the strategy asks for.

    Args:
        study: the limits.
        strategy: told of every cell that ends for good.
        history: what was before.
        begun: cells that an earlier run left unfinished.
        lease: owner of the lease under which jobs are handed out.
    """

    def __init__(
        self,
        study: Study,
        strategy: Strategy,
        *,
        history: History,
        begun: list[Cell],
        lease: str = "",
    ) -> None:
        self._study, self._strategy, self._records = study, strategy, history.records
        self._orders, self._lease = history.orders, lease
        self._again = deque(begun)
        self.out: dict[Key, Job] = {}

    def ready(self) -> int:
        """How many jobs could be handed out now."""
        return len(self._again) + self._strategy.ready()

    def is_done(self) -> bool:
        """Whether nothing is under way and nothing more will be asked for.

        Raises:
            StudyError: the strategy waits for a cell that nobody trains.
        """
        if self.out or self.ready():
            return False
        if self._strategy.ask() == "wait":
            raise StudyError("a search that waits must have a cell under way, got none: a bug")
        return True

    def next_job(self) -> Job | Literal["wait", "done"]:
        """An attempt to make now; `wait` while others may lead to more; or `done`."""
        if self._again:
            return self._hand_out(self._again.popleft())
        answer = self._strategy.ask()
        if isinstance(answer, Cell):
            return self._hand_out(answer)
        return "wait" if self.out else answer

    def returned(self, job: Job, *, status: str, report: dict[str, Any]) -> bool:
        """An attempt has ended.

        Returns:
            Whether the cell has ended with it.
        """
        cell = job.cell
        if self.out.pop(cell.key, None) is None:
            return False  # delivered twice
        record = self._records[cell.key]
        record.status = status
        record.own_faults += status in OWN_FAULTS
        if status == "oom" and job.gpus:
            record.gpus = min(1.0, 2 * job.gpus)
        if record.is_final(self._study.max_attempts):
            self._strategy.tell(cell, outcome_of(status, report))
            return True
        self._again.append(cell)
        return False

    def _hand_out(self, cell: Cell) -> Job:
        record = self._records.setdefault(cell.key, Record())
        given = self._study.resources.gpus
        scheduled = getattr(self._study.strategy, "scheduler", "none") != "none"
        job = Job(
            cell=cell,
            attempt=record.attempts,
            order=self._orders,
            gpus=(record.gpus or given) if given else 0.0,
            prunable=scheduled and not record.is_promoted,
            lease=self._lease,
        )
        record.attempts += 1
        self._orders += 1
        self.out[cell.key] = job
        return job


def outcome_of(status: str, report: dict[str, Any]) -> Outcome:
    """What a strategy is told."""
    curve = tuple(report.get("curve", ()))
    return Outcome(status=status, values=dict(report.get("values", {})), curve=curve)


def begun_cells(store: Store, history: History, *, max_attempts: int) -> list[Cell]:
    """Cells with attempts that did not end for good, in the order of their first hand-out."""
    open_keys = {
        key for key, record in history.records.items() if not record.is_final(max_attempts)
    }
    if not open_keys:
        return []
    table = store.cells([*KEY, "spec_json", "point", "suggested_by", "order"], owed=True)
    table = table.filter(pc.field("network_id").isin(sorted({key[0] for key in open_keys})))
    rows = sorted(table.to_pylist(), key=lambda row: row["order"] or 0)
    return [cell_of(row) for row in rows if tuple(row[name] for name in KEY) in open_keys]


def cell_of(row: dict[str, Any]) -> Cell:
    """The cell that a row of `cells` is about."""
    return Cell(
        spec=NetworkSpec.from_dict(json.loads(row["spec_json"])),
        protocol_id=row["protocol_id"],
        seed=row["seed"],
        point=row["point"],
        suggested_by=row["suggested_by"],
    )
