"""`stac sites`: where gates could go in any network, and what one costs there."""

import json
import re
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table
from torch import nn

from stac.cli import commands as c
from stacnet.attention_spec import AttentionSpec, canonical
from stacnet.cost import gate_cost
from stacnet.named import network_named
from stacnet.network import build
from stacnet.sites import Site, sites
from stacnet.spec import resnet

GATE = AttentionSpec(scale=4)  # what is priced; on smaller maps at their size


def show(command: c.Sites) -> None:
    """Print the sites of a network."""
    network = _network(command)
    found = sites(network, input_size=command.input_size, in_channels=command.in_channels)
    rows = [_row(site) for site in found]
    if command.json:
        print(json.dumps(rows))
        return
    table = Table(box=None, caption="gate: STAC, 4 cells per side, reduction 16, kernel 3")
    for name in rows[0]:
        table.add_column(
            name.replace("_", " "), justify="left" if name == "name" else "right", overflow="fold"
        )
    for row in rows:
        table.add_row(*(f"{v:,}" if isinstance(v, int) else v for v in row.values()))
    Console().print(table)


def _network(command: c.Sites) -> nn.Module:
    """One of ours by its short name, or anybody's."""
    ours = re.fullmatch(r"resnet(\d+)", command.network)
    if not ours:
        return network_named(command.network)
    depth, size = int(ours[1]), command.input_size
    return build(resnet(depth, input_size=size, in_channels=command.in_channels))


def _row(site: Site) -> dict[str, Any]:
    spec = canonical(GATE, channels=site.channels, size=site.side, num_blocks=1)
    assert spec is not None
    cost = gate_cost(spec, channels=site.channels, size=site.side)
    return asdict(site) | {"gate_params": cost.params, "gate_macs": cost.macs}
