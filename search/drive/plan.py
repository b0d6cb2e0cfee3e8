"""What a study wants trained, given what its store already holds."""

from dataclasses import dataclass
from typing import assert_never

from search.sampling.pruner import stored_curves
from search.sampling.strategy import Chain, Listed, Strategy, planned
from search.store.extras import extended, finalist_cells, read_extras
from search.store.history import History, cell_of
from search.store.manifest import Manifest, load_or_make
from search.store.status import planned_cells
from search.store.store import KEY, Store
from search.study.cells import Cell, Key, Outcome
from search.study.metrics import METRICS
from search.study.study import Exhaustive, Sampled, Study


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A strategy, and how many cells it comes to."""

    strategy: Strategy
    total: int


def make_plan(store: Store, study: Study, history: History) -> Plan:
    """The study's strategy, having seen the store."""
    manifest, extras = load_or_make(store.storage, study), read_extras(store.storage)
    main = _main_strategy(store, extended(study, extras), history, manifest, extras.first)
    finalists = finalist_cells(study, extras, manifest)
    fresh = [cell for cell in finalists if cell.key not in history.records]
    total = planned_cells(study, extras, manifest)
    return Plan(strategy=Chain([main, Listed(fresh, number=len(fresh))]), total=total)


def _main_strategy(
    store: Store,
    study: Study,
    history: History,
    manifest: Manifest | None,
    first: tuple[int, ...],
) -> Strategy:
    match study.strategy:
        case Exhaustive():
            assert manifest is not None
            return planned(study, manifest, known=history.records.keys())
        case Sampled():
            from search.sampling.sampler import AskTell

            final = history.final(study.max_attempts)
            known = known_cells(store, final)
            return AskTell(study, manifest, known=known, first=first)
        case _:
            assert_never(study.strategy)


def known_cells(store: Store, final: set[Key]) -> list[tuple[Cell, Outcome | None]]:
    """The stored cells in order of completion; without outcome those that have yet to end."""
    curves = dict(stored_curves(store.epochs([*KEY, "val_acc"]).to_pylist()))
    columns = [*KEY, "spec_json", "point", "suggested_by", "status", "ended_at", *METRICS.values()]
    rows = store.cells(columns, owed=True).sort_by("ended_at").to_pylist()
    known = []
    for row in rows:
        cell = cell_of(row)
        values = {metric: row[column] for metric, column in METRICS.items()}
        outcome = Outcome(
            status=row["status"],
            values={metric: value for metric, value in values.items() if value is not None},
            curve=tuple(curves.get(cell.cell_id, ())),
        )
        known.append((cell, outcome if cell.key in final else None))
    return known
