"""Put gates into any network, without touching the names and weights of what is there."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from stacnet.attention import GATES, make_gate
from stacnet.attention_spec import AttentionSpec, canonical, check_scale
from stacnet.flow import Flow, blank, fill_with_anything, on_meta, taking, trace
from stacnet.resnet import initialise_gate
from stacnet.sites import Site, holder, sites_in

GATE = "attention"  # the submodule's name, as in our own networks


def insert(
    network: nn.Module,
    specs: Mapping[str, AttentionSpec],
    *,
    input_size: int,
    in_channels: int = 3,
    seed: int = 0,
) -> list[str]:
    """Put a gate behind each module that a pattern names; the names, in forward order.

    A gate is the submodule `attention` of that module, and a forward hook applies it: every other
    key of the state dict stays, and so does every weight. If anything does not fit, nothing is
    changed.

    Args:
        network: any module, changed in place. A copy, a pickle or a compiled one keeps its gates.
        specs: pattern (`layer3.*`, as in fnmatch) -> the gate. A pattern names sites
            (`stacnet.sites`), or, if it matches none, other modules with a square map. `placement`
            counts the sites of a stage, and applies to sites alone.
        input_size: side of the square input, pixels.
        in_channels: channels of the input.
        seed: of the gates' weights.

    Raises:
        ValueError: a pattern matches nothing, or what another one has; a module has a gate already
            or cannot have one; a scale is larger than the map; the network cannot take the input.
    """
    flow = trace(network, input_size=input_size, in_channels=in_channels)
    order = {name: number for number, name in enumerate(flow.shapes)}
    places = sorted(_places(flow, specs), key=lambda place: order[place.name])
    _check(network, places)
    gates = make_gates(((one.name, one.channels, one.spec) for one in places), seed=seed)
    for name, gate in gates.items():
        gate.to(_weight_near(network, name)).train(network.get_submodule(name).training)
    twin = on_meta(network).eval()
    twins = {name: on_meta(gate).eval() for name, gate in gates.items()}
    attach(twin, twins)
    _rehearse(twin, twins, blank(twin, input_size=input_size, in_channels=in_channels))
    attach(network, gates)
    return list(gates)


def apply_gate(module: nn.Module, _: Any, output: Tensor) -> Tensor:
    """The forward hook of a module that has a gate: a plain function, so that it can be pickled."""
    return module.get_submodule(GATE)(output)


class _Place(NamedTuple):
    """Where a pattern wants which gate."""

    name: str
    pattern: str
    channels: int
    spec: AttentionSpec


def _places(flow: Flow, specs: Mapping[str, AttentionSpec]) -> Iterator[_Place]:
    """Where each pattern wants its gate.

    Raises:
        ValueError: it names nothing, or its gate does not fit there.
    """
    found = sites_in(flow)
    for pattern, spec in specs.items():
        if spec.position != "post":
            raise ValueError(
                f"position must be post, since a pattern names the place itself (such as *.bn1), "
                f"got position={spec.position!r} for {pattern!r}"
            )
        sites = [site for site in found if fnmatchcase(site.name, pattern)]
        matched = sites or list(_modules(flow, pattern))
        if not matched:
            raise ValueError(
                f"a pattern must name modules with a square map, such as the sites "
                f"{', '.join(site.name for site in found)}; got {pattern!r}"
            )
        among = found if sites else matched
        places = [place for site in matched for place in _placed(site, pattern, spec, among)]
        if not places:
            raise ValueError(
                f"placement must leave a place to its pattern, got placement={spec.placement} for "
                f"{pattern!r}, which names {', '.join(site.name for site in matched)}"
            )
        yield from places


def _modules(flow: Flow, pattern: str) -> Iterator[Site]:
    """Modules with a square map, as if they were sites; of a container the one that ends it."""
    names = [name for name in flow.shapes if name and fnmatchcase(name, pattern)]
    for name in dict.fromkeys(holder(flow, name) or "" for name in names):
        if side := flow.side(name):
            yield Site(name=name, stage=0, channels=flow.shapes[name][1], side=side)


def _placed(
    site: Site, pattern: str, spec: AttentionSpec, among: Sequence[Site]
) -> Iterator[_Place]:
    """The gate in canonical form, if `placement` wants one here among those of this map size."""
    check_scale(spec.scale, size=site.side, place=site.name)
    stage = [other for other in among if other.side == site.side]
    fitted = canonical(spec, channels=site.channels, size=site.side, num_blocks=len(stage))
    if fitted and fitted.is_in_block(stage.index(site), len(stage)):
        yield _Place(site.name, pattern, site.channels, fitted)


def _check(network: nn.Module, places: Sequence[_Place]) -> None:
    """Refuse a second gate at one place.

    Raises:
        ValueError: two patterns name it, or it has one.
    """
    patterns: dict[str, str] = {}
    for place in places:
        if (other := patterns.setdefault(place.name, place.pattern)) != place.pattern:
            raise ValueError(
                f"a place must be named by one pattern, got {place.name} in {other!r} and "
                f"{place.pattern!r}"
            )
        module = network.get_submodule(place.name)
        block = network.get_submodule(place.name.rpartition(".")[0])
        if hasattr(module, GATE) or isinstance(getattr(block, GATE, None), GATES):
            raise ValueError(f"a place must have no gate yet, got {place.name} with {GATE!r}")


def make_gates(
    places: Iterable[tuple[str, int, AttentionSpec]], *, seed: int
) -> dict[str, nn.Module]:
    """A gate for each place with its channels and attention, initialised from a seed.

    Without weights if the meta device is the default one.
    """
    generator, gates = torch.Generator("cpu").manual_seed(seed), {}
    for name, channels, spec in places:
        with torch.device("meta"):  # no global generator is read
            gates[name] = gate = make_gate(channels, spec)
        if torch.get_default_device().type != "meta":
            fill_with_anything(gate)
            initialise_gate(gate, generator)
    return gates


def attach(network: nn.Module, gates: Mapping[str, nn.Module]) -> None:
    """Put each gate behind the module of its name."""
    for name, gate in gates.items():
        module = network.get_submodule(name)
        module.add_module(GATE, gate)
        module.register_forward_hook(apply_gate)


def _rehearse(network: nn.Module, gates: Mapping[str, nn.Module], x_BCHW: Tensor) -> None:
    """Look that a pass runs each gate once.

    Raises:
        ValueError: it does not: the module runs whatever it holds, or is not run as a module.
    """
    runs = dict.fromkeys(gates, 0)
    for name, gate in gates.items():

        def count(*_: Any, name: str = name) -> None:
            runs[name] += 1

        gate.register_forward_hook(count)
    with torch.no_grad(), taking(x_BCHW):
        network(x_BCHW)
    for name, times in runs.items():
        if times != 1:
            raise ValueError(f"a gate must run once in a pass, got {times} times at {name}")


def _weight_near(network: nn.Module, name: str) -> Tensor:
    """A weight of the module or of what surrounds it, for its device and precision."""
    weight = next(network.get_submodule(name).parameters(), None)
    return _weight_near(network, name.rpartition(".")[0]) if weight is None else weight
