"""What a study wants trained, given what its store already holds."""

from dataclasses import dataclass
from typing import assert_never

from search.drive.ledger import Ledger
from search.sampling.strategy import Chain, Listed, Strategy, planned
from search.store.extras import extended, finalist_trainings
from search.store.in_flight import InFlight
from search.store.manifest import load_or_make
from search.store.past import Past
from search.store.status import planned_trainings
from search.study.networks import Networks
from search.study.study import Exhaustive, Sampled, Study
from search.study.training import Training


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be trained.

    Args:
        strategy: says which training is next.
        begun: trainings that an earlier run left unfinished; they come first.
        total: how many trainings it comes to, with those that ended before.
    """

    strategy: Strategy
    begun: list[Training]
    total: int


def make_plan(past: Past) -> Plan:
    """The study's strategy, having seen the store."""
    study, extras = past.study, past.extras
    among = load_or_make(past.store.storage, study)
    finalists = finalist_trainings(study, extras, among)
    fresh = [training for training in finalists if training.key not in past.history.records]
    main = _main_strategy(past, extended(study, extras), among)
    total = planned_trainings(study, extras, among)
    chain = Chain([main, Listed(fresh, number=len(fresh))])
    return Plan(strategy=chain, begun=past.begun(), total=total)


def make_ledger(past: Past, plan: Plan, in_flight: InFlight) -> Ledger:
    """Who hands out what the plan wants, after what was begun."""
    return Ledger(
        past.study, plan.strategy, history=past.history, begun=plan.begun, in_flight=in_flight
    )


def _main_strategy(past: Past, study: Study, among: Networks | None) -> Strategy:
    match study.strategy:
        case Exhaustive():
            assert among is not None
            return planned(study, among, known=past.history.records.keys())
        case Sampled():
            from search.sampling.sampler import AskTell

            known = past.known(past.history.final(study.max_attempts))
            first, prior = past.extras.first, past.extras.prior
            return AskTell(study, among, known=known, first=first, prior=prior)
        case _:
            assert_never(study.strategy)
