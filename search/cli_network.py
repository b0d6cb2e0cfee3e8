"""`stac cost | train | data`: one network, or one data set."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import assert_never

from rich.console import Console
from rich.table import Table

from search import commands as c
from search.flag_values import network_spec
from stacnet.cost import cost


def run(command: c.Cost | c.Train | c.Prepare | c.Inspect) -> int:
    """Run one of these commands; returns the exit code."""
    match command:
        case c.Cost():
            return _cost(command)
        case c.Train():
            return _train(command)
        case c.Prepare():
            return _prepare(command)
        case c.Inspect():
            return _inspect(command)
        case _:
            assert_never(command)
