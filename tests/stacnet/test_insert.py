"""Gates in anybody's network: the same function as ours, and nothing of the network is touched."""

import io
import re
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import ResNet, resnet18

from stacnet.attention_spec import AttentionSpec
from stacnet.cost import cost, cost_of
from stacnet.insert import insert
from stacnet.network import build
from stacnet.spec import resnet

pytestmark = pytest.mark.slow  # takes seconds

STAC = AttentionSpec(scale=2, reduction=4)


@pytest.mark.parametrize(
    "attention",
    [
        STAC,
        AttentionSpec(scale=2, fuse="affine", norm="batch", padding="circular"),
        AttentionSpec(kind="se", placement="last"),
        AttentionSpec(kind="ge", scale=2, placement=(0,)),
    ],
    ids=lambda spec: spec.kind,
)
def test_torchvisions_resnet_with_gates_is_ours(attention: AttentionSpec) -> None:
    spec = resnet(18, stem="imagenet", input_size=64, classes=10, attention=attention)
    ours, theirs = build(spec, seed=3).eval(), resnet18(num_classes=10).eval()
    insert(theirs, {"layer*.bn2": attention}, input_size=64)
    theirs.load_state_dict({_their_name(name): w for name, w in ours.state_dict().items()})
    x_BCHW = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(theirs(x_BCHW), ours(x_BCHW), rtol=0, atol=1e-6)
    counted, own = cost_of(theirs, input_size=64), cost(spec)
    assert counted == type(counted)(**{f: getattr(own, f) for f in counted.__slots__})


def _their_name(name: str) -> str:
    name = re.sub(r"^stages\.(\d)", lambda found: f"layer{int(found[1]) + 1}", name)
    return name.replace(".attention.", ".bn2.attention.")


@pytest.fixture
def gated() -> ResNet:
    """A small ResNet-18 of torchvision with a gate in each block of its last two stages."""
    model = resnet18(num_classes=4).eval()
    insert(model, {"layer[34].*": STAC}, input_size=64)
    return model


def run(model: nn.Module) -> Tensor:
    """Its logits of three fixed images."""
    with torch.no_grad():
        return model(torch.linspace(-1, 1, 3 * 3 * 64 * 64).view(3, 3, 64, 64))


def test_names_and_weights_stay_and_pretrained_weights_still_load(gated: ResNet) -> None:
    pretrained = resnet18(num_classes=4).state_dict()
    missing, unexpected = gated.load_state_dict(pretrained, strict=False)
    assert not unexpected
    assert all(".bn2.attention." in name for name in missing)
    model = resnet18(num_classes=4)
    model.load_state_dict(pretrained)
    insert(model, {"*": STAC}, input_size=64)
    kept = {n: w for n, w in model.state_dict().items() if ".attention." not in n}
    assert list(kept) == list(pretrained)
    assert all(torch.equal(weight, pretrained[name]) for name, weight in kept.items())


def test_a_copy_a_saved_module_and_a_compiled_one_keep_their_gates(gated: ResNet) -> None:
    logits_BN = run(gated)
    copied = deepcopy(gated)
    file = io.BytesIO()
    torch.save(gated, file)
    file.seek(0)
    for same in (copied, torch.load(file, weights_only=False)):
        assert torch.equal(run(same), logits_BN)
        nn.init.zeros_(same.get_parameter("layer4.1.bn2.attention.expand.weight"))
        assert not torch.equal(run(same), logits_BN)
    assert torch.equal(run(gated), logits_BN)
    gated.compile(backend="eager", fullgraph=True)
    assert torch.equal(run(gated), logits_BN)


def test_gates_that_add_begin_at_the_function_that_the_network_had() -> None:
    model = resnet18(num_classes=4).eval()
    logits_BN = run(model)
    insert(model, {"*": replace(STAC, fuse="mul_res")}, input_size=64)
    assert torch.equal(run(model), logits_BN)
    nn.init.ones_(model.get_parameter("layer1.0.bn2.attention.strength"))
    assert not torch.equal(run(model), logits_BN)


def test_gates_learn(gated: ResNet) -> None:
    gated.train()(torch.randn(4, 3, 64, 64)).square().sum().backward()
    for name, weight in gated.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.abs().sum() > 0 or "attention" not in name, name


def test_gates_come_from_the_seed_alone() -> None:
    def weights(seed: int) -> list[Tensor]:
        model = resnet18(num_classes=4)
        torch.randn(seed + 1)
        insert(model, {"layer1.*": STAC}, input_size=64, seed=seed)
        return [w for name, w in model.state_dict().items() if name.endswith("embed.weight")]

    assert all(map(torch.equal, weights(0), weights(0)))
    assert not any(map(torch.equal, weights(0), weights(1)))


def test_a_gate_has_the_precision_and_the_mode_of_its_module() -> None:
    model = resnet18(num_classes=4).to(torch.bfloat16)
    model.layer4.eval()
    insert(model, {"layer4.*": replace(STAC, norm="batch")}, input_size=64)
    gate = model.get_submodule("layer4.0.bn2.attention")
    assert {weight.dtype for weight in gate.parameters()} == {torch.bfloat16}
    assert not any(module.training for module in gate.modules())
    assert model.layer1.training


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("layer4.*", ["layer4.0.bn2", "layer4.1.bn2"]),
        ("*.bn1", [f"layer{stage}.{block}.bn1" for stage in range(1, 5) for block in range(2)]),
        ("bn1", ["bn1"]),
        ("layer4", ["layer4.1"]),  # a sequence ends in its last block
    ],
)
def test_a_pattern_names_sites_or_else_modules(pattern: str, names: list[str]) -> None:
    model = resnet18(num_classes=4).to("meta")
    assert insert(model, {pattern: STAC}, input_size=64) == names
    hooked = [name for name, module in model.named_modules() if module._forward_hooks]
    assert sorted(hooked) == sorted(names)


def test_placement_counts_the_sites_of_a_stage() -> None:
    model = resnet18(num_classes=4).to("meta")
    specs = {
        "layer[12].*": replace(STAC, placement="last"),
        "layer3.*": replace(STAC, placement=(0,)),
        "layer[123].*.bn1": replace(STAC, kernel=1, placement="last"),
    }
    assert insert(model, specs, input_size=64) == [
        *("layer1.1.bn1", "layer1.1.bn2", "layer2.1.bn1", "layer2.1.bn2"),
        *("layer3.0.bn2", "layer3.1.bn1"),
    ]


class Runner(nn.Module):
    """Runs whatever it holds."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        y_BCHW = x_BCHW
        for module in self.children():
            y_BCHW = module(y_BCHW)
        return x_BCHW + y_BCHW


@pytest.mark.parametrize(
    ("specs", "message"),
    [
        ({"layer5.*": STAC}, r"such as the sites layer1.0.bn2, .*layer4.1.bn2; got 'layer5.\*'"),
        ({"fc": STAC}, "a pattern must name modules with a square map"),
        ({"layer4.0*": STAC, "layer4.*": STAC}, r"layer4.0.bn2 in 'layer4.0\*' and 'layer4.\*'"),
        ({"layer4.*": replace(STAC, scale=3)}, "got scale=3 for layer4.0.bn2 with a 2x2 map"),
        ({"layer4.*": replace(STAC, position="mid")}, "position must be post, since a pattern"),
        ({"layer4.*": replace(STAC, placement=(2,))}, "placement must name blocks 0 to 1"),
        ({"layer4.0*": replace(STAC, placement="last")}, "placement must leave a place to"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_changed(
    specs: dict[str, AttentionSpec], message: str
) -> None:
    model = resnet18(num_classes=4).to("meta")
    with pytest.raises(ValueError, match=message):
        insert(model, {"layer1.*": STAC, **specs}, input_size=64)
    assert not any(module._forward_hooks for module in model.modules())
    assert not any("attention" in name for name in model.state_dict())


def test_a_second_gate_at_one_place_is_refused(gated: ResNet) -> None:
    with pytest.raises(ValueError, match=r"no gate yet, got layer4.0.bn2 with 'attention'"):
        insert(gated, {"layer4.*": STAC}, input_size=64)
    assert len(insert(gated, {"layer1.*": STAC}, input_size=64)) == 2
    ours = build(resnet(8, width=4, input_size=8, attention=AttentionSpec(kind="se")))
    with pytest.raises(ValueError, match=r"no gate yet, got stages.0.0.bn2"):
        insert(ours, {"*": AttentionSpec(kind="se")}, input_size=8)


def test_a_module_that_runs_whatever_it_holds_gets_no_gate() -> None:
    model = nn.Sequential(nn.Conv2d(3, 3, 1), Runner())
    with pytest.raises(ValueError, match="a gate must run once in a pass, got 2 times at 1"):
        insert(model, {"1": STAC}, input_size=8)
    assert not model[1]._forward_hooks
