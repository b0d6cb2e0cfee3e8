"""Zero-cost proxies: their definitions on networks small enough to count by hand."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from analysis.predict.proxies import PROXIES, proxy_score, synflow
from stacnet.resnet import build
from stacnet.spec import resnet

GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn((8, 3, 4, 4), generator=GENERATOR)
Y = torch.arange(8) % 3


def linear() -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(48, 3))


@pytest.mark.parametrize("proxy", PROXIES)
def test_a_proxy_leaves_the_network_as_it_was(proxy):
    network = build(resnet(8, width=4, input_size=16, classes=3), seed=0)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    score = proxy_score(proxy, network, torch.randn((8, 3, 16, 16)), Y)
    assert math.isfinite(score)
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])
    assert network.training


def test_gradient_norm_and_snip_are_those_of_the_loss():
    network = linear()
    weight = network[1].weight
    (grad,) = torch.autograd.grad(F.cross_entropy(network(X), Y), [weight])
    assert proxy_score("grad_norm", network, X, Y) == pytest.approx(float(grad.norm()), rel=1e-5)
    expected = float((weight * grad).abs().sum().detach())
    assert proxy_score("snip", network, X, Y) == pytest.approx(expected, rel=1e-5)


def test_synflow_of_one_layer_is_the_sum_of_its_absolute_weights():
    network = linear()
    expected = math.log(float(network[1].weight.detach().abs().sum()))
    assert synflow(network, X) == pytest.approx(expected, rel=1e-5)


def test_naswot_prefers_a_layer_that_tells_images_apart():
    wide, narrow = (
        nn.Sequential(nn.Conv2d(3, width, 1, bias=False), nn.BatchNorm2d(width))
        for width in (64, 1)
    )
    images = torch.randn((6, 3, 1, 1), generator=GENERATOR)
    assert proxy_score("naswot", wide, images, Y[:6]) > proxy_score("naswot", narrow, images, Y[:6])
