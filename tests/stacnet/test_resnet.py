"""The built networks: structure, weights, receptive field, formats, and attention inside them."""

from dataclasses import replace

import pytest
import torch
import torchvision
from torch import nn

from stacnet.attention import STAC
from stacnet.network import build, receptive_field, taps
from stacnet.pretrained import load_vanilla
from stacnet.resnet import ResNet, initialise
from stacnet.spec import AttentionSpec, NetworkSpec, ResNetSpec, resnet

SMALL = resnet(10, width=4, input_size=16, classes=5)


def images(spec: NetworkSpec, *, num: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(num, spec.in_channels, spec.input_size, spec.input_size, generator=generator)


def gates(network: nn.Module) -> list[STAC]:
    return [module for module in network.modules() if isinstance(module, STAC)]


@pytest.mark.parametrize("depth", [18, 34, 50, 101, 152])
def test_the_vanilla_network_holds_what_torchvisions_holds(depth):
    with torch.device("meta"):
        theirs = getattr(torchvision.models, f"resnet{depth}")(weights=None)
        ours = ResNet(resnet(depth, stem="imagenet"))
    renamed = {
        name.replace("stages.", "layer", 1): tuple(weight.shape)
        for name, weight in ours.state_dict().items()
    }
    bumped = {_bump(name): shape for name, shape in renamed.items()}
    assert bumped == {name: tuple(w.shape) for name, w in theirs.state_dict().items()}


def _bump(name: str) -> str:
    return f"layer{int(name[5]) + 1}{name[6:]}" if name.startswith("layer") else name


@pytest.mark.parametrize("depth", [18, 50])
def test_torchvisions_weights_give_torchvisions_outputs(depth):
    torch.manual_seed(0)
    theirs = getattr(torchvision.models, f"resnet{depth}")(weights=None).eval()
    spec = resnet(depth, stem="imagenet", input_size=64)
    ours = build(spec).eval()
    load_vanilla(ours, theirs.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(ours(images(spec)), theirs(images(spec)))


def test_a_seed_is_a_network_and_no_global_generator_is_read():
    before = torch.random.get_rng_state()
    one, same, other = (build(SMALL, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    x = images(SMALL)
    assert torch.equal(one(x), same(x))
    assert not torch.equal(one(x), other(x))


def test_networks_of_one_seed_share_the_weights_outside_their_gates():
    spec = replace(SMALL, attention=(None, AttentionSpec(scale=2), None, AttentionSpec()))
    with_gates = build(spec, seed=1).state_dict()
    for name, weight in build(SMALL, seed=1).state_dict().items():
        assert torch.equal(with_gates[name], weight)


@pytest.mark.parametrize("kind", ["stac", "ge", "scconv", "static"])
def test_initialisation_reaches_every_parameter_and_buffer(kind):
    attention = AttentionSpec(kind=kind, scale=2, fuse="affine", norm="batch")
    network = build(replace(SMALL, attention=(attention,) * 4))
    for tensor in network.state_dict().values():
        tensor.fill_(float("nan") if tensor.is_floating_point() else 99)
    initialise(network, torch.Generator().manual_seed(0))
    for name, tensor in network.state_dict().items():
        assert (tensor.isfinite() & (tensor != 99)).all(), name


@pytest.mark.parametrize("block", ["basic", "bottleneck"])
@pytest.mark.parametrize("stem", ["s1", "s2", "imagenet"])
@pytest.mark.parametrize("kernels", [(3, 3), (1, 3), (1, 1)])
def test_the_receptive_field_is_where_the_gradient_of_the_real_network_lives(block, stem, kernels):
    spec = ResNetSpec(block=block, blocks=(1, 2), widths=(1, 1), stem=stem, kernels=kernels)
    field = receptive_field(spec)
    network = build(spec).eval()
    if stem == "imagenet":  # the gradient of a maximum is a single pixel
        network.maxpool = nn.AvgPool2d(3, 2, 1)
    for parameter in network.parameters():
        nn.init.constant_(parameter, 0.5)
    x = torch.ones(1, 3, 3 * field + 16, 3 * field + 16, requires_grad=True)
    maps = network.stages(network.maxpool(network.bn1(network.conv1(x)).relu()))
    maps[0, 0, maps.shape[2] // 2, maps.shape[3] // 2].backward()
    assert int((x.grad[0, 0].abs().sum(0) > 0).sum()) == field


def test_patch_limited_stages_keep_the_receptive_field_of_the_stem():
    assert receptive_field(resnet(8, kernels=(1, 1, 1))) == 3
    assert receptive_field(resnet(50, stem="imagenet", input_size=224)) == 427


@pytest.mark.parametrize("block", ["basic", "bottleneck"])
@pytest.mark.parametrize("position", ["post", "mid"])
def test_a_tap_gives_the_tensor_that_the_gate_receives(block, position):
    attention = AttentionSpec(scale=2, position=position)
    spec = ResNetSpec(
        block=block, blocks=(1, 2), widths=(2, 4), input_size=8, attention=(attention,) * 2
    )
    network = build(spec).eval()
    modules = dict(network.named_modules())
    seen: dict[str, torch.Tensor] = {}
    for name in (name for stage in taps(spec, position=position) for name in stage):
        modules[name].register_forward_hook(lambda m, i, o, n=name: seen.update({n: o.clone()}))
        gate = modules[f"{name.rsplit('.', 1)[0]}.attention"]
        gate.register_forward_hook(lambda m, i, o, n=name: seen.update({f"{n} gate": i[0].clone()}))
    network(images(spec))
    assert len(seen) == 6
    for name in (name for stage in taps(spec, position=position) for name in stage):
        assert torch.equal(seen[name], seen[f"{name} gate"])


def test_placement_chooses_the_blocks_that_carry_a_gate():
    attention = tuple(AttentionSpec(placement=p) for p in ("all", "last", (0, 2)))
    network = build(
        ResNetSpec(block="basic", blocks=(3,) * 3, widths=(2,) * 3, attention=attention)
    )
    carried = [n for n, m in network.named_modules() if isinstance(m, STAC)]
    assert carried == [
        f"stages.{name}.attention" for name in ("0.0", "0.1", "0.2", "1.2", "2.0", "2.2")
    ]


@pytest.mark.parametrize("position", ["post", "mid"])
def test_open_gates_make_the_vanilla_network(position):
    spec = replace(SMALL, attention=(AttentionSpec(scale=2, position=position),) * 4)
    network, vanilla = build(spec).eval(), build(SMALL).eval()
    for gate in gates(network):
        nn.init.constant_(gate.expand.bias, 1000.0)
    assert torch.equal(network(images(spec)), vanilla(images(spec)))


def test_a_zero_initialised_last_norm_starves_the_gates_for_one_step_only():
    spec = replace(SMALL, attention=(AttentionSpec(scale=2),) * 4)
    network = build(spec)
    for tap in (name for stage in taps(spec) for name in stage):
        nn.init.zeros_(network.get_submodule(tap).weight)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    for step in range(2):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(network(images(spec, num=4)), torch.arange(4))
        loss.backward()
        largest = max(gate.expand.weight.grad.abs().max() for gate in gates(network))
        assert (largest == 0) == (step == 0)
        optimizer.step()


def test_a_state_dict_round_trips():
    spec = replace(SMALL, attention=(AttentionSpec(scale=2, fuse="mul_res", norm="batch"),) * 4)
    network, copy = build(spec, seed=1).eval(), build(spec, seed=2).eval()
    copy.load_state_dict(network.state_dict())
    assert torch.equal(copy(images(spec)), network(images(spec)))


class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.strength = nn.Parameter(torch.empty(2))


@pytest.mark.parametrize(
    ("layer", "own"),
    [
        (nn.Conv1d(2, 2, 1), "weight, bias"),
        (nn.LayerNorm(2), "weight, bias"),
        (nn.PReLU(), "weight"),
        (Scaled(), "strength"),
    ],
)
def test_a_layer_with_parameters_and_no_rule_to_fill_them_is_refused_by_its_name(layer, own):
    network = nn.Sequential(nn.ReLU(), layer)
    with pytest.raises(ValueError, match=f"a rule .*, got 1: {type(layer).__name__} with {own}$"):
        initialise(network, torch.Generator())


@pytest.mark.parametrize("layer", [nn.Conv1d(4, 4, 3), nn.LayerNorm(4), Scaled()])
def test_a_network_whose_gate_has_a_layer_without_rule_is_never_built(layer, monkeypatch):
    spec = replace(SMALL, attention=(AttentionSpec(scale=2), None, None, None))
    monkeypatch.setattr("stacnet.resnet.make_gate", lambda channels, attention: layer)
    at = rf"got stages\.0\.0\.attention: {type(layer).__name__} with "
    with pytest.raises(ValueError, match=at):
        build(spec)
