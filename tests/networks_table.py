"""The table of docs/networks.md, made by trying each network; run it to rewrite."""

import warnings
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn
from torchvision.models import get_model

from stacnet.attention_spec import AttentionSpec
from stacnet.cost import Counts, cost_of
from stacnet.insert import insert
from stacnet.sites import Site, sites

PAGE = Path(__file__).parent.parent / "docs" / "networks.md"
START, END = "<!-- networks -->\n", "<!-- end of networks -->\n"
NETWORKS = (
    *("resnet18", "resnext50_32x4d", "regnet_x_400mf", "mobilenet_v3_small"),
    *("efficientnet_b0", "convnext_tiny", "vgg11_bn", "densenet121"),
)
WITHOUT = {"swin_t": 224, "vit_b_16": 224}
HEAD = ("network", "sites by map side", "first site", "last site", "gates in the last two stages")


def network(name: str) -> nn.Module:
    """A network of torchvision without weights; regnets reckon with tensors while they are made."""
    with torch.device("cpu" if name.startswith("regnet") else "meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that initialisation will change
        return get_model(name, weights=None, num_classes=10).to("meta")


class Tried(NamedTuple):
    """A network with gates of 2x2 cells in its last two stages; its cost before and since."""

    model: nn.Module
    sites: tuple[Site, ...]
    gated: list[str]
    before: Counts
    since: Counts


@cache
def tried(name: str) -> Tried:
    """What comes of putting gates into a network of torchvision."""
    model = network(name)
    before = cost_of(model, input_size=64)
    found = sites(model, input_size=64)
    last = [site.name for site in found if site.stage >= found[-1].stage - 1]
    gated = insert(model, dict.fromkeys(last, AttentionSpec(scale=2)), input_size=64)
    return Tried(model, found, gated, before, cost_of(model, input_size=64))


def lines() -> Iterator[str]:
    """The table, in Markdown."""
    yield f"| {' | '.join(HEAD)} |"
    yield "|---" * len(HEAD) + "|"
    for name in NETWORKS:
        one = tried(name)
        sides = Counter(site.side for site in one.sites)
        counted = ", ".join(f"{number} of {side}" for side, number in sides.items())
        params = f"{one.since.params / one.before.params - 1:+.0%} parameters"
        macs = f"{one.since.macs / one.before.macs - 1:+.1%} MACs"
        names = f"`{one.sites[0].name}` | `{one.sites[-1].name}`"
        yield f"| `{name}` | {counted} | {names} | {len(one.gated)}: {params}, {macs} |"
    for name, size in WITHOUT.items():
        try:
            sites(network(name), input_size=size)
        except ValueError as error:
            yield f"| `{name}` | none | | | {str(error).partition('got none: ')[2]} |"


def in_page() -> str:
    """The table as the page should have it, between its marks."""
    return START + "\n" + "\n".join(lines()) + "\n\n" + END


if __name__ == "__main__":
    text = PAGE.read_text()
    before, _, rest = text.partition(START)
    PAGE.write_text(before + in_page() + rest.partition(END)[2])
