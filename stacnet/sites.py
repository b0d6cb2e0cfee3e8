"""Where gates could go in any network: its sites, found by one forward pass without weights."""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from stacnet.flow import Flow, trace

# They run whatever they hold, a gate too, so that none can be put into them.
_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Site:
    """A module whose output a gate would receive.

    Args:
        name: of the module, as in `named_modules`.
        stage: the site's map size, counted from 0 in the order in which the forward pass meets it.
        channels: of its output.
        side: of its output's map, pixels.
    """

    name: str
    stage: int
    channels: int
    side: int


def sites(network: nn.Module, *, input_size: int, in_channels: int = 3) -> tuple[Site, ...]:
    """One site for each block, in the order of the forward pass; gates that are there change none.

    A block is an outermost module that itself brings two ways of the image together (adds,
    multiplies or concatenates them), and any other of its class. Its site is the last layer with
    weights on the branch with most weights, before the addition, if that has the block's map; else
    the block. A network without blocks has one site between a convolution and what follows: the
    next convolution or another map size. Stems, transitions, maps of one pixel and modules that
    are called again are no sites.

    Args:
        network: any module; its weights are not read, and it is left as it was.
        input_size: side of the square input, pixels.
        in_channels: channels of the input.

    Raises:
        ValueError: the network cannot take such an input, or it has no site.
    """
    return sites_in(trace(network, input_size=input_size, in_channels=in_channels))


def sites_in(flow: Flow) -> tuple[Site, ...]:
    """The sites of a network whose forward pass was watched.

    Raises:
        ValueError: it has none.
    """
    names = _block_sites(flow)
    sides = {name: side for name in flow.shapes if name in names and (side := flow.side(name)) > 1}
    if not sides:
        raise ValueError(f"the network must have sites for gates, got none: {_why_none(flow)}")
    stages = list(dict.fromkeys(sides.values()))
    return tuple(
        Site(name=name, stage=stages.index(side), channels=flow.shapes[name][1], side=side)
        for name, side in sides.items()
    )


def holder(flow: Flow, name: str) -> str | None:
    """Which module can hold a gate for the output of one: itself, or of a container the last."""
    if not isinstance(flow.modules[name], _CONTAINERS):
        return name
    for child, _ in reversed(list(flow.modules[name].named_children())):
        if flow.outputs.get(f"{name}.{child}") is flow.outputs[name]:
            return holder(flow, f"{name}.{child}")
    return None


def _block_sites(flow: Flow) -> set[str]:
    """The sites of blocks; without any block, those of plain convolutions."""
    blocks = {
        type(module)
        for name, module in flow.modules.items()
        if name and name in flow.merging and type(module) not in _CONTAINERS
    }
    if not blocks:
        return set(_after_convolutions(flow))

    def below(name: str) -> Iterator[str]:
        module = flow.modules.get(name, nn.Identity())  # one that is shared has its first name
        site = _site(flow, name) if name and type(module) in blocks else None
        if site is not None:
            yield site
            return
        for child, _ in module.named_children():
            yield from below(f"{name}.{child}".lstrip("."))

    return set(below(""))


def _site(flow: Flow, block: str) -> str | None:
    """Of a block: None if it gives no map, or nothing that could hold a gate gives it."""
    if flow.side(block) <= 1:
        return None
    maker = flow.maker[block] or ""
    is_inside = maker.startswith(f"{block}.") and flow.shapes[maker] == flow.shapes[block]
    for name in (maker, block) if is_inside else (block,):
        if (held := holder(flow, name)) and flow.side(held):
            return held
    return None


def _after_convolutions(flow: Flow) -> Iterator[str]:
    """The last leaf of each run that begins with a convolution and keeps its map size."""
    last = None
    for name in flow.shapes:
        module = flow.modules[name]
        if any(True for _ in module.children()) or flow.calls[name] > 1:
            continue
        is_convolution = isinstance(module, nn.Conv2d | nn.ConvTranspose2d)
        if last and (is_convolution or flow.side(name) != flow.side(last)):
            yield last
            last = None
        if is_convolution or last:
            last = name
    if last:
        yield last


def _why_none(flow: Flow) -> str:
    """What its modules give instead of square maps."""
    shapes = list(flow.shapes.values())
    if tokens := next((shape for shape in shapes if len(shape) == 3), None):
        return f"its modules give tokens, such as {tokens}, and no maps"
    if odd := next((s for s in shapes if len(s) == 4 and s[2] != s[3]), None):
        return f"maps must be square (N, C, S, S), got {odd}"
    return "no block or convolution gives a map of more than one pixel"
