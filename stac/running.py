"""Searching from Python: begin a study, go on with it, open what is there."""

from pathlib import Path
from typing import Literal, TypedDict, Unpack

from search.store.hints import Hints
from search.store.store import Store
from search.study.study import Study
from stac.result import Result, Source, store_of


class Running(TypedDict, total=False):
    """How a run is carried out; nothing of it changes results.

    Args:
        address: Ray cluster to use (`auto`, or host:port); by default Ray starts here.
        budget_s: end this run, not the study, after so many seconds.
        budget_money: and when its device-seconds have cost so much, at the `prices`.
        prices: JSON file {"device or host name": price per hour}; for `budget_money`.
        progress: whether to show it on stderr; it is shown unless this is False.
        loggers: also log each training there.
        in_process: train here, one network at a time, without Ray; for small studies.
    """

    address: str | None
    budget_s: float | None
    budget_money: float | None
    prices: str | Path | None
    progress: bool
    loggers: tuple[Literal["tensorboard", "mlflow", "wandb"], ...]
    in_process: bool


def search(
    study: Study,
    out: str | Path,
    *,
    reuse_from: Source | None = None,
    warm_start: str | Path | None = None,
    prior: str | Path | None = None,
    **running: Unpack[Running],
) -> Result:
    """Begin a study, or go on with it; a signal or the budget ends it with what is done by then.

    Args:
        out: the study's folder, or s3:// address.
        reuse_from: another study whose finished trainings count.
        warm_start: file of networks (such as picks.json) that a sampled study tries first.
        prior: picks.json, whose primary rule's ranking a sampled study mixes in at a rate that
            decays; or `picks.json:PREDICTOR`.
        running: address, budgets, prices, progress, loggers, in_process (see `Running`).

    Returns:
        The result; `result.stopped` says why the run ended early, if it did.

    Raises:
        ValueError: the study cannot be trained here, another driver is at work, the folder holds
            another study, the storage fails.
    """
    from search.drive import run as engine

    summary = engine.search(
        study,
        out,
        options=engine.Options(**running),
        reuse_from="" if reuse_from is None else store_of(reuse_from).address,
        hints=Hints(warm_start=str(warm_start or ""), prior=str(prior or "")),
    )
    return Result(Store(out), summary.reason)


def resume(source: Source, **running: Unpack[Running]) -> Result:
    """Run what a study still owes; one that owes nothing is only opened.

    Args:
        source: a result, or the study's folder.
        running: address, budgets, prices, progress, loggers, in_process (see `Running`).

    Raises:
        ValueError: there is no study, another driver is at work, the storage fails.
    """
    from search.drive import run as engine

    store = store_of(source)
    summary = engine.resume(store.address, options=engine.Options(**running))
    return Result(store, summary.reason)


def open(folder: str | Path) -> Result:
    """The result of a study from its folder or s3:// address, finished or not.

    Raises:
        ValueError: there is no study.
    """
    return Result(store_of(folder))
