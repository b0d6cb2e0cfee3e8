"""`stac studies`: what each named study is for, how large it is, and how long it takes here."""

import inspect
import json
import os
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.table import Table

from search.drive.ray_session import lent_cpus
from search.study.networks import networks, num_networks, num_trainings
from search.study.studies import TRAINING_CORE_S, named_studies
from search.study.study import Exhaustive, Study
from stac.cli.study_commands import Studies


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


def rough(hours: float) -> str:
    """`~ 3 min`, or `~ 2.5 h`."""
    return f"~ {hours:.1f} h" if hours >= 1 else f"~ {max(round(60 * hours), 1)} min"


def study_facts(make: Callable[[], Study], *, cores: int) -> dict[str, Any]:
    """Size of a named study, and the hours it takes on so many cores as in `TRAINING_CORE_S`.

    A training has one core; the start of Ray and what follows a search is not in it. Hours are
    None where `stac plan` has to time them; a sampled study's space is not listed.
    """
    study = make()
    among = networks(study.space) if isinstance(study.strategy, Exhaustive) else None
    trainings = num_trainings(study, among)
    training_s = TRAINING_CORE_S.get(study.name)
    waves = -(-trainings * study.resources.cpus // cores)
    text = inspect.getdoc(getattr(make, "func", make)) or ""
    return {
        "study": study.name,
        "networks": num_networks(study, among),
        "cells": trainings,
        "hours": waves * training_s / 3600 if training_s else None,
        "about": text.splitlines()[0],
    }
