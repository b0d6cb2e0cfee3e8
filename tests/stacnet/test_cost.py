"""Cost: known figures, exact identities, and prices that equal what networks hold."""

import runpy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from stacnet.attention_spec import CHOICES, AttentionSpec
from stacnet.cost import cost, price
from stacnet.network import build
from stacnet.spec import ResNetSpec, resnet

ROOT = Path(__file__).parents[2]


def test_resnet_50_at_224_counts_what_everybody_counts():
    counted = cost(resnet(50, stem="imagenet", input_size=224))
    assert counted.params == 25_557_032
    assert counted.macs == pytest.approx(4.089e9, abs=5e5)
    assert counted.receptive_field == 427


@pytest.mark.parametrize(
    ("attention", "params_ratio", "more_macs"),
    [
        (AttentionSpec(kind="se", reduction=16), 1.10, 0.05),
        (AttentionSpec(kernel=3, reduction=16, scale=2), 1.89, 1.74),
        (AttentionSpec(kernel=1, reduction=2, scale=2), 1.79, 1.55),
        (AttentionSpec(kernel=1, reduction=16, scale=4), 1.10, 0.77),
    ],
)
def test_resnet_50_at_64_has_the_cost_envelope_of_the_paper(attention, params_ratio, more_macs):
    vanilla, counted = cost(resnet(50)), price(resnet(50, attention=attention))
    assert round(counted.params / vanilla.params, 2) == params_ratio
    assert round(100 * (counted.macs / vanilla.macs - 1), 2) == more_macs


@pytest.mark.parametrize("scale", [1, 2, 3, 8])
@pytest.mark.parametrize("fuse", ["mul", "mul_res", "affine"])
def test_more_macs_are_more_weights_times_cells(scale, fuse):
    vanilla = resnet(8, width=4, input_size=8)
    attention = AttentionSpec(scale=scale, kernel=3, reduction=2, fuse=fuse)
    spec = replace(vanilla, attention=(attention, None, None))
    weights = sum(
        weight.numel()
        for name, weight in build(spec).named_parameters()
        if ".attention." in name and name.endswith("weight")
    )
    assert cost(spec).macs - cost(vanilla).macs == weights * scale**2


attentions = st.builds(
    AttentionSpec,
    kind=st.sampled_from(CHOICES["kind"]),
    scale=st.none() | st.integers(1, 6),
    kernel=st.sampled_from((1, 3, 5)),
    reduction=st.integers(1, 8),
    pool=st.sampled_from(CHOICES["pool"]),
    upsample=st.sampled_from(CHOICES["upsample"]),
    fuse=st.sampled_from(CHOICES["fuse"]),
    padding=st.sampled_from(CHOICES["padding"]),
    norm=st.sampled_from(CHOICES["norm"]),
    position=st.sampled_from(CHOICES["position"]),
    placement=st.sampled_from(("all", "last", (0,))),
)


@pytest.mark.parametrize("kind", [None, "stac", "se", "ge", "scconv", "static"])
def test_macs_are_those_of_torchs_own_counter(kind):
    attention = kind and AttentionSpec(kind=kind, reduction=2)
    spec = resnet(10, width=8, input_size=32, attention=attention)
    with FlopCounterMode(display=False) as counter:
        build(spec)(torch.zeros(2, 3, 32, 32))
    assert counter.get_total_flops() == 2 * 2 * cost(spec).macs  # 2 images, 2 operations


@settings(derandomize=True, max_examples=40)
@given(
    st.sampled_from(("basic", "bottleneck")),
    st.tuples(*(st.none() | attentions for _ in range(2))),
    st.sampled_from((4, 7, 8)),
)
def test_the_price_of_a_network_is_its_cost(block, attention, size):
    spec = ResNetSpec(
        block=block, blocks=(2, 1), widths=(3, 4), input_size=size, attention=attention
    )
    assert price(spec) == cost(spec)


@pytest.mark.parametrize("attention", [None, AttentionSpec(scale=2), AttentionSpec(kernel=3)])
def test_effective_parameters_are_those_that_get_gradient(attention):
    spec = ResNetSpec(
        block="basic",
        blocks=(1, 1, 1),
        widths=(8, 8, 8),
        input_size=4,
        classes=4,
        attention=(attention,) * 3,
    )
    network = build(spec)
    touched = [torch.zeros_like(p, dtype=torch.bool) for p in network.parameters()]
    for seed in range(8):
        network.zero_grad()
        x = torch.randn(16, 3, 4, 4, generator=torch.Generator().manual_seed(seed))
        network(x).square().sum().backward()
        for seen, parameter in zip(touched, network.parameters(), strict=True):
            seen |= parameter.grad != 0
    assert cost(spec).params == sum(seen.numel() for seen in touched)
    assert cost(spec).params_effective == sum(int(seen.sum()) for seen in touched)
    assert cost(spec).params_effective < cost(spec).params


def test_what_autograd_saves_is_counted_once_per_storage_and_without_weights():
    spec = resnet(8, width=4, input_size=8, attention=AttentionSpec(scale=2))
    network, batch = build(spec), 4
    weights = {p.untyped_storage().data_ptr() for p in network.parameters()}
    saved: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        saved.setdefault(tensor.untyped_storage().data_ptr(), tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        network(torch.zeros(batch, 3, 8, 8))
    held = sum(t.untyped_storage().nbytes() for at, t in saved.items() if at not in weights)
    assert cost(spec).saved_bytes == pytest.approx(held / batch, rel=0.05)
    assert cost(spec).train_memory_bytes(8) == 12 * cost(spec).params + 8 * cost(spec).saved_bytes


def test_the_published_cost_table_is_what_the_networks_hold():
    table = runpy.run_path(str(ROOT / "benchmarks" / "cost_table.py"))["table"]
    assert (ROOT / "docs" / "costs.md").read_text() == table()
