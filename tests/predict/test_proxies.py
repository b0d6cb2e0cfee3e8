"""Zero-cost proxies: their definitions on networks small enough to count by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from analysis.predict.baselines import noise_of, proxy_picks
from analysis.predict.picks import make_pick
from analysis.predict.proxies import PROXIES, naswot, proxy_score, synflow
from search.study.networks import networks
from search.study.space import Space
from stacnet.attention_spec import AttentionSpec
from stacnet.data.images import load
from stacnet.data_spec import Digits
from stacnet.network import build
from stacnet.spec import resnet

pytestmark = pytest.mark.slow  # takes seconds

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
        nn.Sequential(nn.Conv2d(3, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        for width in (64, 1)
    )
    images = torch.randn((6, 3, 1, 1), generator=GENERATOR)
    assert proxy_score("naswot", wide, images, Y[:6]) > proxy_score("naswot", narrow, images, Y[:6])


def test_naswot_sees_every_relu_wherever_it_is_called() -> None:
    spec = resnet(8, width=4, input_size=16, classes=3)
    gate = AttentionSpec(scale=1, reduction=1)
    last_only = replace(spec, attention=(None, None, gate))
    images = torch.randn((8, 3, 16, 16), generator=GENERATOR)
    found = [naswot(build(one, seed=0), images) for one in (spec, last_only)]
    assert found[0] != found[1]  # batch norms alone, as its authors' hooks, see no `post` gate


def test_synflow_is_not_deafened_by_a_gate() -> None:
    spec = resnet(8, width=4, input_size=16, classes=3)
    scores = set()
    for scale in (1, 2, 4, None):
        gate = AttentionSpec(scale=scale, reduction=1)
        network = build(replace(spec, attention=(gate, gate, gate)), seed=0)
        scores.add(round(synflow(network, torch.ones(1, 3, 16, 16)), 3))
    assert len(scores) > 1


def test_each_proxy_tells_placements_apart_or_is_called_blind() -> None:
    space = Space(
        base=resnet(8, width=4, input_size=8, classes=10),
        scales=(("off", 1, 4), ("off", 1, 4), ("off",)),
    )
    among = networks(space)
    for pick in proxy_picks(among, load(Digits())):
        assert pick.noise is not None
        spread = float(np.std([score for score in pick.scores if score is not None]))
        assert pick.is_blind == (spread <= pick.noise or len(set(pick.scores)) < 3)
    constant = make_pick("x", "proxy", np.ones(9), among, cost_s=0.0)
    blind = replace(constant, scores=tuple(np.arange(9) * 1e-3), noise=1.0)
    seeing = replace(constant, scores=tuple(np.arange(9) * 1e-3), noise=1e-4)
    assert (blind.is_blind, seeing.is_blind, constant.is_blind) == (True, False, True)


def test_the_noise_of_a_score_is_what_seeds_do_to_differences() -> None:
    rng = np.random.default_rng(0)
    networks_N, seeds_S = rng.normal(size=200), rng.normal(size=(3, 1))
    score_SN = networks_N + 100 * seeds_S + rng.normal(scale=0.3, size=(3, 200))
    assert noise_of(score_SN) == pytest.approx(0.3, rel=0.1)
    assert noise_of(score_SN[:1]) == 0
