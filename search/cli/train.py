"""`stac train`: one network as a study of one cell, trained in this process."""

from dataclasses import replace
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from search.cellrun import CellRun
from search.cells import Cell, Job
from search.cli.commands import Train
from search.cli.flag_values import data_spec, one_network_space
from search.lease import Lease
from search.store import Store
from search.studies import override
from search.study import Resources, Study
from stacnet.data.images import load
from stacnet.protocol import Protocol
from stacnet.train import Trainer

SLICE_S = 2.0


def run(command: Train) -> int:
    """Train the network of the flags; exit code 0 if it ended well."""
    study = _study(command)
    store = Store(command.out)
    store.begin(study)
    lease = Lease(store.storage)
    try:
        status = _train(store, study)
    finally:
        lease.release()
    return 0 if status == "complete" else 1


def _study(command: Train) -> Study:
    """The study that holds just this cell; network and data must fit each other.

    Raises:
        ValueError: they do not.
    """
    import torch

    study = Study(
        name="train",
        space=one_network_space(command.network),
        protocol=Protocol(data=data_spec(command.recipe.data)),
        seeds=(command.seed,),
        resources=Resources(gpus=1.0 if torch.cuda.is_available() else 0.0),
    )
    changes = dict(_pair(text) for group in command.recipe.override for text in group)
    return override(study, {f"protocol.{name}": value for name, value in changes.items()})
