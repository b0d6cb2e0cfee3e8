"""`stac cost | train | data`: one network, or one data set."""

import json
from dataclasses import asdict
from typing import Any, assert_never

from rich.console import Console
from rich.table import Table

from search.cli import commands as c
from search.cli.flag_values import network_spec
from stacnet.cost import cost
from stacnet.spec import NetworkSpec


def run(command: c.Cost | c.Train | c.Prepare | c.Inspect) -> int:
    """Run one of these commands; returns the exit code."""
    match command:
        case c.Cost():
            facts = cost_facts(network_spec(command.network))
            _show(facts, as_json=command.json)
        case c.Train():
            raise NotImplementedError
        case c.Prepare():
            raise NotImplementedError
        case c.Inspect():
            raise NotImplementedError
        case _:
            assert_never(command)
    return 0


def cost_facts(spec: NetworkSpec) -> dict[str, Any]:
    """Cost of a network, of its vanilla twin, and their ratios."""
    own, vanilla = cost(spec), cost(spec.vanilla)
    return {
        "network_id": spec.network_id,
        "depth": spec.depth,
        **asdict(own),
        "vanilla_params": vanilla.params,
        "vanilla_macs": vanilla.macs,
        "params_ratio": own.params / vanilla.params,
        "macs_ratio": own.macs / vanilla.macs,
        "map_sizes": list(spec.map_sizes),
        "attention": spec.to_dict()["attention"],
    }


def _show(facts: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(facts))
        return
    table = Table(show_header=False, box=None)
    for name, value in facts.items():
        rows = value if isinstance(value, list) and value else [value]
        for number, row in enumerate(rows, start=1):
            table.add_row(f"{name} {number}" if isinstance(value, list) else name, _readable(row))
    Console().print(table)


def _readable(value: Any) -> str:
    match value:
        case int():
            return f"{value:,}"
        case float():
            return f"{value:.4f}"
        case None:
            return "-"
        case dict():
            return " ".join(f"{k}={v}" for k, v in value.items())
        case _:
            return str(value)
