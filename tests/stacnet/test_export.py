"""Every kind of attention compiles, exports and survives other memory formats and precisions."""

import shutil

import onnxruntime
import pytest
import torch

from stacnet.attention import make_gate
from stacnet.network import build
from stacnet.spec import AttentionSpec, ResNetSpec

pytestmark = pytest.mark.slow  # compiles
KINDS = {
    "stac": AttentionSpec(scale=2),
    "stac with every option": AttentionSpec(
        scale=3,
        pool="both",
        upsample="bilinear",
        fuse="mul_res",
        padding="circular",
        norm="batch",
    ),
    "se": AttentionSpec(kind="se"),
    "ge": AttentionSpec(kind="ge", scale=2),
    "scconv": AttentionSpec(kind="scconv", scale=2),
    "static": AttentionSpec(kind="static", scale=2),
}
each_kind = pytest.mark.parametrize("attention", KINDS.values(), ids=KINDS.keys())


def tiny(*attention: AttentionSpec) -> torch.nn.Module:
    num_stages = len(attention)
    spec = ResNetSpec(
        block="basic",
        blocks=(1,) * num_stages,
        widths=(4,) * num_stages,
        classes=3,
        attention=attention,
        input_size=12,
    )
    return opened(build(spec)).eval()


def opened(network: torch.nn.Module) -> torch.nn.Module:
    """Fusions away from their start, where `mul_res` would hide the rest of the gate."""
    for name, parameter in network.named_parameters():
        if name.endswith("strength"):
            torch.nn.init.constant_(parameter, 0.5)
    return network


def images() -> torch.Tensor:
    return torch.randn(2, 3, 12, 12, generator=torch.Generator().manual_seed(0))


@each_kind
def test_a_network_is_traced_whole_by_the_compiler(attention):
    network = tiny(attention)
    compiled = torch.compile(network, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(images()), network(images()))
    compiled(images()).sum().backward()


@pytest.mark.long
@pytest.mark.skipif(shutil.which("g++") is None, reason="the compiler's code needs g++")
def test_generated_code_computes_every_kind_of_gate():
    gates = opened(torch.nn.Sequential(*(make_gate(4, spec) for spec in KINDS.values()))).eval()
    x = torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(torch.compile(gates)(x), gates(x))


@each_kind
def test_a_network_exports(attention):
    network = tiny(attention)
    program = torch.export.export(network, (images(),))
    torch.testing.assert_close(program.module()(images()), network(images()))


@each_kind
def test_a_network_runs_as_onnx(attention, tmp_path):
    network = tiny(attention)
    program = torch.onnx.export(network, (images(),), dynamo=True, verbose=False)
    program.save(tmp_path / "network.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "network.onnx")
    (logits,) = session.run(None, {session.get_inputs()[0].name: images().numpy()})
    torch.testing.assert_close(torch.from_numpy(logits), network(images()).detach())


@each_kind
def test_channels_last_and_bf16_autocast_give_the_same_network(attention):
    network = tiny(attention)
    y = network(images())
    network = network.to(memory_format=torch.channels_last)
    x = images().to(memory_format=torch.channels_last)
    torch.testing.assert_close(network(x), y)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(network(x).float(), y, atol=0.1, rtol=0.1)
