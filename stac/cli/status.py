"""`stac status`: how far a study is, once or again and again, and whether its store is sound."""

import json
import os
import time
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from search.store.past import Past
from search.store.prices import bill, read_prices
from search.store.status import Status, status
from search.store.store import Store
from stac.cli.lean import without_pandas
from stac.cli.study_commands import Status as StatusCommand

AGAIN_S = 5.0


def run(command: StatusCommand) -> int:
    """Print the status; exit code 1 if --check found a broken rule."""
    without_pandas()
    store = Store(command.folder)
    past: Store | Past = store
    if command.check:
        from search.store.check import look

        past = look(store)
    now = status(past, curves=command.check)
    _show(now, command)
    while command.watch and (now.running or now.missing):
        time.sleep(AGAIN_S)
        past = store
        now = status(store, curves=False)
        _show(now, command)
    return _checked(past) if command.check else 0


def _checked(past: Store | Past) -> int:
    """Print the rules that are broken; 1 if there are any."""
    from search.store.check import check

    broken = check(past)
    for line in broken:
        print(line)
    if not broken:
        print("every rule of the store holds")
    return 1 if broken else 0


def _show(now: Status, command: StatusCommand) -> None:
    facts = asdict(now)
    if command.prices:
        facts["money"] = bill(now.spending, read_prices(command.prices)).total
    if os.environ.get("RAY_ADDRESS"):
        facts["cluster"] = _cluster()
    if command.json:
        print(json.dumps(facts), flush=True)
        return
    del facts["spending"]
    table = Table(box=None, show_header=False)
    for name, value in facts.items():
        table.add_row({"cells": "trainings"}.get(name, name.replace("_", " ")), _text(value))
    Console().print(table)


def _cluster() -> str:
    """What the autoscaler of the cluster that this machine belongs to says of its launches."""
    from search.cluster.on_head import launches_now

    try:
        return launches_now()
    except Exception as error:  # the study's figures are told, whatever becomes of the cluster
        return " ".join(str(error).split())


def _text(value: object) -> str:
    match value:
        case None | "":
            return "-"
        case float():
            return f"{value:,.4f}" if abs(value) < 10 else f"{value:,.1f}"
        case _:
            return str(value)
