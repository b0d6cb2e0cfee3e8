"""`stac plan`: what a study could show and what it takes, before anything is trained."""

import json
import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from search.errors import StudyError
from search.study.networks import LARGEST, Networks, is_too_large, networks
from search.study.studies import load_study, override
from search.study.study import Study
from stac.cli.flag_values import assignments
from stac.cli.study_commands import Plan
from stac.cli.waiting import Waiting

if TYPE_CHECKING:
    from search.drive.forecast import Forecast, Timed
    from search.drive.pace import Pace

WIDTH = 80


def run(command: Plan) -> None:
    """Print the sentences, or every number.

    Raises:
        ValueError: the space is too large to list.
    """
    from analysis.judge.comparison import plain
    from analysis.judge.plan import power_of, power_sentences

    study = override(load_study(command.study), assignments(command.override))
    if is_too_large(study):
        raise ValueError(
            f"a plan is made for a space of at most {LARGEST:,} points, got {study.space.size():,}"
        )
    with Waiting("listing and pricing networks"):
        among = networks(study.space)
        power = power_of(study, among)
    found, why_not = None, ""
    if command.seconds:
        try:
            found = _timed(command, study, among)
        except StudyError as error:  # what it could show is told all the same
            why_not = str(error)
    if command.json:
        told = {"forecast": found and _facts(found, command.price)}
        print(json.dumps(plain(asdict(power) | told)))
        return
    for sentence in (*power_sentences(power), *_fresh_sentence(study, power.seeds_b)):
        _print(sentence)
    if found:
        _show(found, command.price)
    if why_not:
        _print(f"No hours are told: {why_not}")


def _timed(command: Plan, study: Study, among: Networks) -> "Forecast":
    with Waiting("timing steps of three networks"):
        from search.drive.forecast import forecast

        return forecast(study, among, budget_s=command.seconds, slots=command.slots)


def _fresh_sentence(study: Study, seeds_b: int) -> Iterator[str]:
    """What finalists can tell apart: the best and the picks, on fresh seeds beside seeds B."""
    from analysis.judge.plan import resolved_difference

    fresh = len(study.finalists.seeds)
    difference = resolved_difference(seeds_b + fresh)
    if difference == difference:
        largest = 100 * study.margin / difference
        yield (
            f"After `stac finalists`, {seeds_b} + {fresh} seeds measure the best, the picks and "
            f"the references: they are told apart at {difference:.1f} deviations, the margin if "
            f"one is at most {largest:.2g} points. Widened twins have the {fresh} fresh ones."
        )


def _facts(found: "Forecast", price: float | None) -> dict[str, Any]:
    return asdict(found) | {"money": None if price is None else found.device_hours * price}


def _show(found: "Forecast", price: float | None) -> None:
    machine, timed = found.machine, (found.vanilla, found.median, found.dearest)
    images = " or ".join(map(str, sorted({one.pace.batch for one in timed})))
    held = f"{machine.devices:g} {machine.unit}{'' if machine.devices <= 1 else 's'}"
    print()
    _print(f"Timed here on {machine.device}, {held} a training, {images} images a step.")
    if not machine.is_wanted:
        _print("The study wants a GPU and none is here: these are hours of this processor.")
    print()
    rows = dict(_rows(found, price))
    indent = 2 + max(map(len, rows)) + 2
    for name, text in rows.items():
        first = f"  {name}".ljust(indent)
        print(textwrap.fill(text, WIDTH, initial_indent=first, subsequent_indent=" " * indent))


def _rows(found: "Forecast", price: float | None) -> Iterator[tuple[str, str]]:
    images, machine, storage = found.images, found.machine, found.storage
    yield "images", f"{images.train:,} to train, {images.val:,} to select, {images.test:,} to test"
    yield "trainings", f"{found.trainings:,} of the search, about {found.finalists:,} of finalists"
    vanilla, median, dearest = map(_time, (found.vanilla, found.median, found.dearest))
    yield "one training", f"{median} (vanilla {vanilla}, the dearest {dearest})"
    yield f"{machine.unit}-hours", _number(found.device_hours)
    slots = "1 slot" if machine.slots == 1 else f"{machine.slots} slots"
    yield "by the clock", f"{_number(found.hours)} hours with {slots}"
    if not machine.is_wanted:
        yield "arithmetic", _arithmetic(found.flop)
    yield "memory", f"{_memory(found.dearest.pace)}, in a training of the dearest network"
    if found.share is not None:
        several = f"so that {round(1 / found.share)} train on one at once"
        yield "share of GPU", f"--override resources.gpus={found.share:.4g}, {several}"
    parts = f"tables {_size(storage.tables)}, weights {_size(storage.weights)}"
    meanwhile = f"checkpoints meanwhile {_size(storage.checkpoints)}"
    yield "storage", f"{_size(storage.tables + storage.weights)} ({parts}); {meanwhile}"
    if price is None:
        yield "money", f"say what a {machine.unit} costs an hour: --price"
    else:
        yield "money", f"{found.device_hours * price:,.2f} at {price:g} a {machine.unit}-hour"


def _print(text: str) -> None:
    print(textwrap.fill(text, WIDTH))


def _memory(pace: "Pace") -> str:
    if pace.measured_bytes is None:
        return f"{_size(pace.computed_bytes)} computed"
    return f"{_size(pace.measured_bytes)} measured"


def _arithmetic(flop: float) -> str:
    hours = _number(flop / 1e14 / 3600)
    return f"{flop:.1e} operations; a device that sustains 1e14 a second takes {hours} hours"


def _time(timed: "Timed") -> str:
    seconds = timed.training_s
    return f"{_number(seconds / 3600)} hours" if seconds >= 7200 else f"{_number(seconds)} s"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _size(num: float) -> str:
    """Bytes as a reader says them."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if num < 1000:
            return f"{num:.0f} {unit}" if num >= 10 or unit == "bytes" else f"{num:.1f} {unit}"
        num /= 1000
    return f"{num:.1f} TB"
