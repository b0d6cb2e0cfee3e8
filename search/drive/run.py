"""Runs what a study owes: one path for search, resume, extend and finalists."""

import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from search.drive.desk import Desk
from search.drive.loggers import make_loggers
from search.drive.merger import Merger
from search.drive.plan import Plan, make_ledger, make_plan
from search.drive.preflight import admitted, look_at_nodes, preflight, ready
from search.drive.progress import Progress, Tally, opening, say
from search.drive.signals import ending
from search.drive.slot import Slot
from search.errors import StudyError
from search.sampling.pruner import make_pruner
from search.store.compact import BATCH, merge_all, merge_loose
from search.store.extras import (
    finalist_trainings,
    read_extras,
    warm_points,
    with_finalists,
    with_more_trials,
    write_extras,
)
from search.store.history import read_history
from search.store.lease import Lease
from search.store.lost import account_for
from search.store.manifest import load_or_make
from search.store.past import Past, past_of_run
from search.store.reuse import check_source, reuse
from search.store.status import status
from search.store.store import Store
from search.study.study import Study


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a run is carried out; nothing that a command gives changes results.

    Args:
        address: Ray cluster to use; None starts Ray here.
        budget_s: end this run, not the study, after so many seconds.
        progress: whether to show it on stderr.
        loggers: of `tensorboard`, `mlflow`, `wandb`.
        stand_in: for tests and benchmarks: what a slot runs instead of training; no command gives
            it, and it is not stored.
    """

    address: str | None = None
    budget_s: float | None = None
    progress: bool = True
    loggers: tuple[str, ...] = ()
    stand_in: type[Slot] = Slot

    def __post_init__(self) -> None:
        if self.budget_s is not None and not self.budget_s > 0:
            raise StudyError(f"budget_s must be more than 0 seconds, got {self.budget_s}")


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


def search(
    study: Study, out: str | Path, *, options: Options, reuse_from: str = "", warm_start: str = ""
) -> Summary:
    """Begin a study, or go on with it.

    Args:
        out: folder or s3:// address.
        reuse_from: another study whose finished trainings count.
        warm_start: file of networks that a sampled study tries first.

    Raises:
        ValueError: the study cannot be trained here, another driver is at work, the folder holds
            another study, the storage fails.
    """
    store, points = Store(out), None
    if warm_start:
        points = warm_points(Path(warm_start).read_bytes(), study.space, source=warm_start)
    study = admitted(store, study, address=options.address)
    if reuse_from:
        check_source(Store(reuse_from), study)
    with Lease(store.storage) as lease:
        store.begin(study)
        if points:
            write_extras(store.storage, replace(read_extras(store.storage), first=points))
        if reuse_from:
            _reuse(store, Store(reuse_from), study)
        return _run(store, lease, options)


def resume(out: str | Path, *, options: Options) -> Summary:
    """Run what is still owed.

    Raises:
        StudyError: there is no study, another driver is at work, the storage fails.
    """
    store = Store(out)
    ready(store, address=options.address)
    with Lease(store.storage) as lease:
        return _run(store, lease, options)


def extend(out: str | Path, *, trials: int, promote: int = 0, options: Options) -> Summary:
    """More networks for a sampled study, or its best pruned ones to their end; and run them.

    Raises:
        StudyError: the study is not sampled; or as for `resume`.
    """
    store = Store(out)
    with_more_trials(store, trials=trials, promote=promote)  # refuses before it takes the lease
    preflight(store.study(), address=options.address)
    with Lease(store.storage) as lease:
        extras = with_more_trials(store, trials=trials, promote=promote)
        write_extras(store.storage, extras)
        return _run(store, lease, options)


def finalists(out: str | Path, *, options: Options) -> Summary:
    """Train the best networks, the picks, vanilla and SE with the study's fresh seeds.

    Raises:
        StudyError: the search is not finished; or as for `resume`.
    """
    store = Store(out)
    now = status(store)
    if now.missing or now.running:
        raise StudyError(f"finalists need a finished search, got {now.missing} trainings missing")
    preflight(store.study(), address=options.address)
    with Lease(store.storage) as lease:
        write_extras(store.storage, with_finalists(store))
        return _run(store, lease, options)


def compact(out: str | Path) -> None:
    """Merge the store's small files, when those that are gone are accounted for.

    Raises:
        StudyError: a driver is at work on it.
    """
    store = Store(out)
    study = store.study()
    with Lease(store.storage) as lease:
        account_for(lease, study=study, store=store)
        merge_all(store)


def _reuse(store: Store, source: Store, study: Study) -> None:
    known = set(read_history(store, study).records)
    reuse(store, source, study=study, manifest=load_or_make(store.storage, study), known=known)


def _run(store: Store, lease: Lease, options: Options) -> Summary:
    past = _past(store, lease)
    study, plan = past.study, make_plan(past)
    desk = _desk(past, plan, lease)
    if not desk.owes():
        return Summary(finished=True, ended=0, reason="")
    ended = len(past.history.final(study.max_attempts))
    tally = Tally.of(store, study, total=plan.total, ended=ended)
    if options.progress:
        fresh = len(finalist_trainings(study, past.extras, None))
        say(opening(study, total=plan.total, fresh=fresh, ended=ended, address=store.address))
    with ExitStack() as stack:
        stack.enter_context(ending(desk.stop))
        merger = Merger(store)
        desk.watchers.append(merger)
        stack.callback(merger.close)
        for logger in make_loggers(options.loggers, store=store, study=study):
            desk.watchers.append(logger)
            stack.callback(logger.close)
        if options.progress:
            progress = Progress(tally)
            desk.watchers.append(progress)
            stack.callback(progress.close)
        _carry_out(desk, options)
    if desk.trouble is not None:
        raise desk.trouble
    desk.settle()
    if desk.reason:
        return Summary(finished=False, ended=desk.ended, reason=desk.reason)
    if desk.owes():
        raise StudyError(f"Ray Tune must run until nothing is owed, got {desk.ledger.ready()} left")
    merge_all(store)
    return Summary(finished=True, ended=desk.ended, reason="")


def _carry_out(desk: Desk, options: Options) -> None:
    from search.drive.ray_session import ray_session
    from search.drive.tuner import run_slots, slots

    def complain(error: StudyError) -> None:
        desk.stop("trouble", error)

    if options.progress:
        say(f"joining Ray at {options.address} ..." if options.address else "starting Ray here ...")
    with ray_session(options.address, complain=complain):
        if options.budget_s is not None:
            desk.deadline = time.monotonic() + options.budget_s
        look_at_nodes(desk.study, address=options.address)
        if options.progress:
            say(f"training {slots(desk.study.resources)} at a time")
        try:
            run_slots(desk, trainable=options.stand_in)
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
        ledger=make_ledger(past, plan, lease=lease.owner),
        lease=lease,
        pruner=make_pruner(past.study, (("-".join(map(str, key)), c) for key, c in curves)),
        watchers=[],
    )
