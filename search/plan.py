"""What a study wants trained, given what its store already holds."""

from dataclasses import dataclass

from search.errors import StudyError
from search.ledger import History
from search.manifest import load_or_make, planned
from search.store import Store
from search.strategy import Listed, Strategy
from search.study import Exhaustive, Study


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A strategy, and how many cells it comes to."""

    strategy: Strategy
    total: int


def make_plan(store: Store, study: Study, history: History) -> Plan:
    """The study's strategy, having seen the store."""
    manifest = load_or_make(store.storage, study)
    match study.strategy:
        case Exhaustive():
            assert manifest is not None
            known = history.records.keys()
            total = len(manifest) * len(study.seeds)
            return Plan(strategy=Listed(planned(study, manifest, known=known)), total=total)
    raise StudyError("not yet")
