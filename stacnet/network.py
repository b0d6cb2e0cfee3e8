"""Networks from their descriptions: ResNets of ours, and anybody's by an importable name."""

from itertools import groupby
from typing import Any

import torch
from torch import nn

from stacnet.attention_spec import Position
from stacnet.fields import is_whole
from stacnet.flow import fill_with_anything, on_meta, trace
from stacnet.insert import attach, make_gates
from stacnet.named import importable, network_named, source_of
from stacnet.named_spec import Argument, NamedSpec, Stage
from stacnet.resnet import ResNet, initialise, resnet_receptive_field, resnet_taps
from stacnet.sites import sites_in
from stacnet.spec import NetworkSpec


def build(spec: NetworkSpec, *, seed: int = 0) -> nn.Module:
    """The network of `spec` on the CPU: (B, in_channels, H, W) -> logits (B, classes).

    Weights depend on (spec, seed) alone, no global generator is read; the weights outside the
    gates are those of the vanilla network with the same seed.

    Raises:
        ValueError: a named network cannot be made, or its source is another one now.
    """
    if not isinstance(spec, NamedSpec):
        network = outline(spec)
        fill_with_anything(network)
        initialise(network, torch.Generator().manual_seed(seed))
        return network
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # it draws its weights itself
        network = _made(spec)
    attach(network, make_gates(spec.gated_sites(), seed=seed))
    return network


def outline(spec: NetworkSpec) -> nn.Module:
    """The network on the meta device, without weights."""
    with torch.device("meta"):
        if not isinstance(spec, NamedSpec):
            return ResNet(spec)
        gates = make_gates(spec.gated_sites(), seed=0)
        try:
            network = _made(spec)
        except ValueError:  # it reads its weights while it is made
            network = None
    if network is None:
        network = on_meta(_made(spec))
    attach(network, gates)
    return network


def _made(spec: NamedSpec) -> nn.Module:
    return network_named(importable(spec.name, spec.source), **spec.keywords)


def taps(spec: NetworkSpec, *, position: Position = "post") -> tuple[tuple[str, ...], ...]:
    """Per stage and block, the module whose output attention at `position` receives."""
    if isinstance(spec, NamedSpec):
        return tuple(stage.sites for stage in spec.stages)
    return resnet_taps(spec, position=position)


def last_map(spec: NetworkSpec) -> str:
    """The module whose spatial mean the classifier gets."""
    return spec.last if isinstance(spec, NamedSpec) else "stages"


def receptive_field(spec: NetworkSpec) -> int | None:
    """Side of the input square that a unit of the last stage sees; None if it is not ours."""
    return None if isinstance(spec, NamedSpec) else resnet_receptive_field(spec)


def named(
    name: str, *, input_size: int, classes: int, in_channels: int = 3, **arguments: Any
) -> NamedSpec:
    """Describe anybody's network: its sites are found by one pass without weights.

    Args:
        name: see `NamedSpec`.
        input_size: side of the square input, pixels.
        classes: number of logits; the function gets it as `num_classes`.
        in_channels: channels of the input.
        arguments: of the function, plain values.

    Raises:
        ValueError: it cannot be imported, made or fed, or has no site.
    """
    if not is_whole(classes, 1):
        raise ValueError(f"classes must be a whole number of at least 1, got classes={classes!r}")
    if "num_classes" in arguments:
        raise ValueError("num_classes must be told as classes, got both")
    network = network_named(name, num_classes=classes, **arguments)
    flow = trace(network, input_size=input_size, in_channels=in_channels)
    found = sorted(sites_in(flow), key=lambda site: site.stage)
    by_stage = groupby(found, key=lambda site: site.stage)
    stages = [list(among) for _, among in by_stage]
    return NamedSpec(
        name=name,
        arguments=tuple(Argument(name=key, value=value) for key, value in arguments.items()),
        source=source_of(name),
        stages=tuple(
            Stage(
                side=among[0].side,
                sites=tuple(site.name for site in among),
                channels=tuple(site.channels for site in among),
            )
            for among in stages
        ),
        last=[module for module in flow.shapes if flow.side(module)][-1],
        input_size=input_size,
        in_channels=in_channels,
        classes=classes,
    )
