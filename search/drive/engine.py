"""Runs what a plan wants: one path for every command, on Ray or in this process."""

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from search.drive.desk import Desk
from search.drive.here import run_here
from search.drive.loggers import check_names, make_loggers
from search.drive.merger import Merger
from search.drive.notice import Departure
from search.drive.plan import Plan, make_ledger, make_plan
from search.drive.preflight import look_at_nodes
from search.drive.progress import EpochBar, Progress, Tally, opening, say
from search.drive.purse import Purse
from search.drive.signals import ending
from search.drive.watcher import Watcher
from search.drive.worker import MakeTrainer, make_trainer
from search.errors import StudyError
from search.sampling.pruner import make_pruner
from search.store.compact import BATCH, merge_all, merge_loose
from search.store.extras import finalist_trainings
from search.store.lease import Lease
from search.store.lost import account_for
from search.store.past import Past, past_of_run
from search.store.prices import read_prices
from search.store.store import Store
from search.study.training import id_of


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a run is carried out; nothing that a command gives changes results.

    Args:
        address: Ray cluster to use; None for `$RAY_ADDRESS`, without which Ray starts here.
        budget_s: end this run, not the study, after so many seconds.
        budget_money: and when its device-seconds have cost so much, at the `prices`.
        prices: JSON file {"device or host name": price per hour}; for `budget_money`.
        progress: whether to show it on stderr.
        loggers: of `tensorboard`, `mlflow`, `wandb`.
        in_process: train here, one network at a time, without Ray.
        stand_in: for tests and benchmarks: what a slot runs instead of training; no command gives
            it, and it is not stored.
    """

    address: str | None = None
    budget_s: float | None = None
    budget_money: float | None = None
    prices: str | Path | None = None
    progress: bool = True
    loggers: tuple[str, ...] = ()
    in_process: bool = False
    stand_in: MakeTrainer = make_trainer

    def __post_init__(self) -> None:
        if self.budget_s is not None and not self.budget_s > 0:
            raise StudyError(f"budget_s must be more than 0 seconds, got {self.budget_s}")
        if (self.budget_money is None) != (self.prices is None):
            rule = "budget_money and prices must be given together"
            raise StudyError(f"{rule}, got {self.budget_money} and {self.prices}")
        if self.budget_money is not None and not 0 < self.budget_money < math.inf:
            raise StudyError(f"budget_money must be more than 0, got {self.budget_money}")
        if self.prices is not None and not read_prices(self.prices):
            raise StudyError(f"{self.prices}: must have a price, got none")
        if self.in_process and self.address is not None:
            raise StudyError(f"in_process must be without a cluster, got address={self.address!r}")
        check_names(self.loggers)

    @property
    def cluster(self) -> str | None:
        """Address of the Ray cluster that is joined; None starts Ray here, or does without."""
        return None if self.in_process else cluster_address(self.address)


def cluster_address(given: str | None) -> str | None:
    """The address that was given, or the one that Ray's own commands would take."""
    return given or os.environ.get("RAY_ADDRESS") or None


@dataclass(frozen=True, kw_only=True)
class Summary:
    """How a run ended.

    Args:
        finished: whether the study owes nothing any more.
        ended: attempts that ended in this run.
        reason: why it stopped before the end; empty if it did not.
    """

    finished: bool
    ended: int
    reason: str


def carry_out(
    store: Store, lease: Lease, options: Options, *, make: Callable[[Past], Plan] = make_plan
) -> Summary:
    """Run what is planned, given what the store holds.

    Raises:
        StudyError: the storage fails, the lease is lost, or workers cannot start.
    """
    past = _past(store, lease)
    plan = make(past)
    desk = _desk(past, plan, lease)
    if not desk.owes():
        return Summary(finished=True, ended=0, reason="")
    with ExitStack() as stack:
        stack.enter_context(ending(desk.stop))
        desk.watchers.append(Departure(desk.stop))
        if options.budget_money is not None and options.prices is not None:
            desk.watchers.append(Purse(options.budget_money, read_prices(options.prices), desk))
        for watcher in _watchers(past, plan, options):
            desk.watchers.append(watcher)
            stack.callback(watcher.close)
        _execute(desk, options)
    if desk.trouble is not None:
        raise desk.trouble
    desk.settle()
    if desk.reason:
        return Summary(finished=False, ended=desk.ended, reason=desk.reason)
    if desk.owes():
        raise StudyError(f"a run must go on until nothing is owed, got {desk.ledger.ready()} left")
    merge_all(store)
    return Summary(finished=True, ended=desk.ended, reason="")


def _watchers(past: Past, plan: Plan, options: Options) -> Iterator[Watcher]:
    """Who looks on; each is at work when the next one is made."""
    store, study = past.store, past.study
    yield Merger(store)
    yield from make_loggers(options.loggers, store=store, study=study)
    if not options.progress:
        return
    if plan.total == 1:
        yield EpochBar(study.protocol.epochs)
        return
    ended = len(past.history.final(study.max_attempts))
    fresh = len(finalist_trainings(study, past.extras, None))
    say(opening(study, total=plan.total, fresh=fresh, ended=ended, address=store.address))
    yield Progress(Tally.of(store, study, total=plan.total, ended=ended))


def _execute(desk: Desk, options: Options) -> None:
    """On the executor that was chosen; its time begins when it is there."""

    def begin() -> None:
        if options.budget_s is not None:
            desk.deadline = time.monotonic() + options.budget_s

    if options.in_process:
        begin()
        run_here(desk, make_trainer=options.stand_in)
    else:
        _execute_on_ray(desk, options, begin)


def _execute_on_ray(desk: Desk, options: Options, begin: Callable[[], None]) -> None:
    from search.drive.ray_session import ray_session
    from search.drive.tuner import run_slots, slots

    def complain(error: StudyError) -> None:
        desk.stop("trouble", error)

    if options.progress:
        say(f"joining Ray at {options.cluster} ..." if options.cluster else "starting Ray here ...")
    with ray_session(options.cluster, complain=complain):
        begin()
        look_at_nodes(desk.study, address=options.cluster)
        if options.progress:
            say(f"training {slots(desk.study.resources)} at a time")
        try:
            run_slots(desk, make_trainer=options.stand_in)
        except Exception as error:  # what Ray says when its processes are gone
            if desk.trouble is None:
                raise
            raise desk.trouble from error


def _past(store: Store, lease: Lease) -> Past:
    """What was before this run, when those that are gone are accounted for."""
    account_for(lease, study=store.study(), store=store)
    if len(store.loose("cells")) >= BATCH:
        merge_loose(store)
    past = past_of_run(store)
    past.history.promote(past.extras.promoted)
    return past


def _desk(past: Past, plan: Plan, lease: Lease) -> Desk:
    curves = past.curves.items() if past.study.scheduler != "none" else ()
    return Desk(
        store=past.store,
        study=past.study,
        ledger=make_ledger(past, plan, lease.in_flight),
        lease=lease,
        pruner=make_pruner(past.study, ((id_of(key), c) for key, c in curves)),
        watchers=[],
    )
