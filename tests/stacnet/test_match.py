"""Widened twins cost the same; trained weights find their place; latency is measured."""

from dataclasses import replace

import pytest
import torch
import torchvision

from stacnet.cost import cost
from stacnet.latency import latency
from stacnet.match import matched
from stacnet.network import build
from stacnet.pretrained import load_vanilla
from stacnet.spec import AttentionSpec, resnet

pytestmark = pytest.mark.slow  # counts the cost of many networks
SE = AttentionSpec(kind="se")


@pytest.mark.parametrize("by", ["params", "macs"])
@pytest.mark.parametrize("attention", [None, SE])
@pytest.mark.parametrize(
    "spec",
    [
        resnet(18, width=16, input_size=32, attention=AttentionSpec(scale=2, reduction=2)),
        resnet(8, width=8, input_size=8, classes=10, attention=AttentionSpec(scale=2)),
        resnet(10, width=4, input_size=16, classes=8, attention=AttentionSpec(reduction=1)),
    ],
    ids=["resnet18", "resnet8", "resnet10"],
)
def test_a_twin_costs_the_same_within_one_percent(spec, by, attention):
    twin = matched(spec, by=by, attention=attention)
    assert getattr(cost(twin), by) == pytest.approx(getattr(cost(spec), by), rel=0.01)
    assert twin == replace(spec, widths=twin.widths, attention=(attention,) * len(spec.blocks))


def test_the_twin_of_a_vanilla_network_is_itself():
    spec = resnet(20, input_size=32, classes=10)
    assert matched(spec, by="params") == spec


def test_a_cost_that_no_widths_reach_is_refused():
    spec = resnet(8, width=1, input_size=8, classes=2)
    with pytest.raises(ValueError, match="params of the twin must come within 1%"):
        matched(spec, by="params", attention=AttentionSpec(kernel=5, reduction=1, norm="batch"))


@pytest.mark.parametrize("position", ["post", "mid"])
def test_mul_res_starts_exactly_at_the_trained_function(position):
    torch.manual_seed(0)
    weights = torchvision.models.resnet18(weights=None).state_dict()
    attention = AttentionSpec(scale=2, fuse="mul_res", position=position)
    vanilla = build(resnet(18, stem="imagenet")).eval()
    gated = build(resnet(18, stem="imagenet", attention=attention)).eval()
    for network in (vanilla, gated):
        load_vanilla(network, weights)
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(gated(x), vanilla(x))


def test_our_own_vanilla_weights_load_too():
    spec = resnet(8, width=4, input_size=8)
    network = build(replace(spec, attention=(AttentionSpec(),) * 3), seed=1)
    load_vanilla(network, build(spec, seed=2).state_dict())
    assert torch.equal(network.conv1.weight, build(spec, seed=2).conv1.weight)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"classes": 7}, r"weight fc\.weight must have shape \(7, 32\), got \(1000, 32\)"),
        ({"blocks": (1, 1, 2)}, r"got no stages\.2\.1\."),
        ({"blocks": (1, 1), "widths": (8, 32)}, r"got .*, which it has not"),
    ],
)
def test_weights_of_another_network_are_refused_and_nothing_is_loaded(change, match):
    spec = resnet(8, width=8, input_size=8)
    unlike = replace(spec, **({"attention": (), "kernels": ()} | change))
    network = build(unlike, seed=1)
    with pytest.raises(ValueError, match=match):
        load_vanilla(network, build(spec, seed=2).state_dict())
    assert torch.equal(network.conv1.weight, build(unlike, seed=1).conv1.weight)


def test_latency_is_the_median_per_image_and_says_how_it_was_taken():
    spec = resnet(8, width=4, input_size=8)
    measured = latency(spec, batch_size=4, min_time_s=0.02)
    assert 0 < measured.image_s < 1
    assert measured.batch_size == 4
    assert measured.num_passes >= 2
    assert measured.device == "cpu"
    assert measured.num_threads == torch.get_num_threads()
