"""`stac studies | bench`: the named studies and what they take; those that ship."""

import inspect
import json
import os
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.table import Table

from search.drive.ray_session import lent_cpus
from search.store.shipped import SCHEME, shipped_studies
from search.study.networks import networks, num_networks
from search.study.paper_studies import WITHIN_ENVELOPE
from search.study.studies import TRAINING_CORE_S, named_studies
from search.study.study import Exhaustive, Study
from stac.cli.study_commands import Bench, Studies


def run(command: Studies) -> int:
    """Print the table; 0."""
    cores = lent_cpus() or os.cpu_count() or 1
    facts = [study_facts(make, cores=cores) for make in named_studies().values()]
    if command.json:
        print(json.dumps(facts))
        return 0
    table = Table("study", "networks", "trainings", "time", "for", box=None)
    for fact in facts:
        time = "stac plan" if fact["hours"] is None else rough(fact["hours"])
        sizes = f"{fact['networks']}", f"{fact['cells']}", time
        table.add_row(fact["study"], *sizes, fact["about"])
    Console().print(table)
    print(f"The time is a rough one on {cores} cores here.")
    return 0


def bench(command: Bench) -> int:
    """Print what ships; 0."""
    from stac.cli.lean import without_pandas

    without_pandas()
    facts = [shipped_facts(name) for name in shipped_studies()]
    if command.json:
        print(json.dumps(facts))
        return 0
    table = Table("study", "networks", "trainings", "device hours", "for", box=None)
    for fact in facts:
        sizes = f"{fact['networks']}", f"{fact['cells']}", f"{fact['device_hours']:.1f}"
        table.add_row(fact["study"], *sizes, fact["about"])
    Console().print(table)
    print("Each opens as a DIR: stac compare bench:NAME, stac report bench:NAME, ...")
    return 0


def shipped_facts(name: str) -> dict[str, Any]:
    """What a study that ships holds."""
    from search.store.status import status
    from search.store.store import Store

    now = status(Store(f"{SCHEME}{name}"))
    return {
        "study": f"{SCHEME}{name}",
        "networks": len(networks(Store(f"{SCHEME}{name}").study().space)),
        "cells": now.complete,
        "device_hours": now.device_s / 3600,
        "about": _about(named_studies()[name]) if name in named_studies() else "",
    }


def _about(make: Callable[[], Study]) -> str:
    return (inspect.getdoc(getattr(make, "func", make)) or "").splitlines()[0]


def rough(hours: float) -> str:
    """`~ 3 min`, or `~ 2.5 h`."""
    return f"~ {hours:.1f} h" if hours >= 1 else f"~ {max(round(60 * hours), 1)} min"


def study_facts(make: Callable[[], Study], *, cores: int) -> dict[str, Any]:
    """Size of a named study, and the hours it takes on so many cores as in `TRAINING_CORE_S`.

    A training has one core; the start of Ray and what follows a search is not in it. Hours are
    None where `stac plan` has to time them; a sampled study's space is not listed.
    """
    study = make()
    number = WITHIN_ENVELOPE.get(study.name)
    if number is None:
        is_whole = isinstance(study.strategy, Exhaustive)
        number = num_networks(study, networks(study.space) if is_whole else None)
    trainings = number * len(study.seeds)
    training_s = TRAINING_CORE_S.get(study.name)
    waves = -(-trainings * study.resources.cpus // cores)
    return {
        "study": study.name,
        "networks": number,
        "cells": trainings,
        "hours": waves * training_s / 3600 if training_s else None,
        "about": _about(make),
    }
