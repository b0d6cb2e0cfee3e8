"""Identities of the gates (docs/method.md, section 1)."""

import pytest
import torch
import torch.nn.functional as F
from timm.layers.gather_excite import GatherExcite as TimmGatherExcite
from timm.layers.squeeze_excite import SEModule
from torch import nn

from stacnet.attention import STAC, condense, make_gate, multiply, upsample_to
from stacnet.attention_spec import AttentionSpec

KINDS = ("stac", "se", "ge", "scconv", "static")
C = 8


def image(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def randomise(gate: nn.Module) -> nn.Module:
    """Every parameter drawn, so that no gate is closed or open by its initialisation."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in gate.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.5)
    return gate


def test_stac_at_scale_1_and_kernel_1_is_squeeze_and_excitation_to_the_last_bit():
    gate = STAC(C, AttentionSpec(scale=1, kernel=1, reduction=2))
    timm = SEModule(C, rd_channels=C // 2)
    timm.fc1.load_state_dict(gate.embed.state_dict())
    timm.fc2.load_state_dict(gate.expand.state_dict())
    x = image(4, C, 7, 7)
    assert torch.equal(gate(x), timm(x))


def test_a_3x3_gate_on_one_cell_acts_through_its_centre_taps_alone():
    wide = randomise(STAC(C, AttentionSpec(scale=None, kernel=3, reduction=2)))
    narrow = STAC(C, AttentionSpec(scale=1, kernel=1, reduction=2))
    weights = wide.state_dict()
    centre = {n: w[:, :, 1:2, 1:2] if w.ndim == 4 else w for n, w in weights.items()}
    narrow.load_state_dict(centre)
    x = image(4, C, 1, 1)
    torch.testing.assert_close(wide(x), narrow(x))


def test_taps_that_only_see_padding_get_no_gradient_and_are_not_built():
    wide = randomise(STAC(C, AttentionSpec(scale=None, kernel=3, reduction=2)))
    wide(image(4, C, 1, 1)).square().sum().backward()
    gradient = wide.expand.weight.grad
    assert gradient[:, :, 1, 1].abs().min() > 0
    gradient[:, :, 1, 1] = 0
    assert gradient.abs().max() == 0
    assert STAC(C, AttentionSpec(scale=1, kernel=3)).expand.kernel_size == (1, 1)
    assert STAC(C, AttentionSpec(scale=2, kernel=7)).expand.kernel_size == (3, 3)


@pytest.mark.parametrize("upsample", ["nearest", "bilinear"])
@pytest.mark.parametrize("scale", [1, 2, 3, None])
def test_mul_res_starts_as_the_exact_identity(upsample, scale):
    gate = STAC(C, AttentionSpec(scale=scale, fuse="mul_res", upsample=upsample))
    x = image(2, C, 7, 7)
    assert torch.equal(gate(x), x)


def test_an_open_gate_changes_nothing():
    gate = randomise(STAC(C, AttentionSpec(scale=2)))
    nn.init.constant_(gate.expand.bias, 1000.0)
    x = image(2, C, 8, 8)
    assert torch.equal(gate(x), x)


def test_affine_adds_the_attention_to_the_scaled_map():
    gate = randomise(STAC(C, AttentionSpec(scale=1, kernel=1, fuse="affine")))
    x = image(2, C, 4, 4)
    pooled = x.mean((2, 3), keepdim=True)
    attention = gate.expand(F.relu(gate.embed(pooled)))
    torch.testing.assert_close(gate(x), gate.strength * x + attention)
    gate.reset_strength()
    assert gate.strength == 1


def test_gate_and_upsampling_commute_for_nearest_only():
    attention, x = image(2, C, 3, 3), image(2, C, 8, 8)
    for mode, commutes in (("nearest", True), ("bilinear", False)):
        gate_then_up = upsample_to(attention.sigmoid(), x, mode=mode)
        up_then_gate = upsample_to(attention, x, mode=mode).sigmoid()
        assert torch.allclose(gate_then_up, up_then_gate, atol=1e-6) == commutes


@pytest.mark.parametrize("size", [(8, 8), (9, 9), (8, 12), (7, 5)])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_the_view_that_is_multiplied_gives_the_bits_of_the_upsampled_gate(size, memory_format):
    x = image(2, C, *size).to(memory_format=memory_format)
    gate = image(2, C, 4, 4)
    product = multiply(x, gate, upsample="nearest")
    assert torch.equal(product, x * F.interpolate(gate, size=size, mode="nearest"))
    assert product.is_contiguous(memory_format=memory_format)


def test_half_the_average_plus_half_the_maximum_is_what_both_means():
    x = image(2, C, 4, 4)
    halves = condense(x, 2, pool="avg") + condense(x, 2, pool="max")
    torch.testing.assert_close(condense(x, 2, pool="both"), halves / 2)
    torch.testing.assert_close(condense(x, 2, pool="max"), F.max_pool2d(x, 2))


@pytest.mark.parametrize(("size", "scale", "extent"), [(16, 8, 2), (16, 4, 4), (12, 3, 4)])
def test_gather_excite_gathers_as_timm_does(size, scale, extent):
    gate = randomise(make_gate(C, AttentionSpec(kind="ge", scale=scale, reduction=2)))
    timm = TimmGatherExcite(C, extent=extent, use_mlp=False)
    timm.mlp = nn.Sequential(gate.embed, nn.ReLU(), gate.expand)
    x = image(2, C, size, size)
    torch.testing.assert_close(gate(x), timm(x))


def test_a_static_gate_is_half_at_first_and_the_same_for_every_image():
    gate = make_gate(C, AttentionSpec(kind="static", scale=2))
    x = image(4, C, 8, 8)
    assert torch.equal(gate(x), 0.5 * x)
    randomise(gate)
    ratio = gate(x) / x
    torch.testing.assert_close(ratio, ratio[:1].expand_as(ratio))
    logits = upsample_to(10 * gate.logits, x[:1], mode="nearest")
    torch.testing.assert_close(ratio[:1], logits.sigmoid())
    with pytest.raises(ValueError, match="scale of a static gate must be a number of cells"):
        make_gate(C, AttentionSpec(kind="static"))


def test_the_gate_of_scconv_is_the_sigmoid_of_the_map_plus_its_context():
    gate = randomise(make_gate(C, AttentionSpec(kind="scconv", scale=2)))
    x = image(2, C, 8, 8)
    context = F.interpolate(gate.embed(F.avg_pool2d(x, 4)), scale_factor=4.0)
    torch.testing.assert_close(gate(x), x * (x + context).sigmoid())


@pytest.mark.parametrize("padding", ["zeros", "reflect", "circular"])
@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_every_padding_works_with_the_widest_kernel_that_reaches(padding, scale):
    gate = STAC(C, AttentionSpec(scale=scale, kernel=2 * scale - 1, padding=padding))
    assert gate(image(2, C, 9, 9)).shape == (2, C, 9, 9)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(1, 1), (3, 3), (5, 7), (16, 16)])
def test_a_gate_accepts_maps_smaller_than_its_scale_and_sizes_that_do_not_divide(kind, size):
    gate = randomise(make_gate(C, AttentionSpec(kind=kind, scale=4)))
    x = image(2, C, *size)
    assert gate(x).shape == x.shape
    assert not torch.equal(gate(x), x)


@pytest.mark.parametrize("kind", KINDS)
def test_channels_last_and_bf16_give_the_same_gate(kind):
    gate = randomise(make_gate(C, AttentionSpec(kind=kind, scale=4, norm="batch"))).eval()
    x = image(2, C, 8, 8)
    y = gate(x)
    torch.testing.assert_close(gate(x.to(memory_format=torch.channels_last)), y)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(gate(x), y, atol=0.05, rtol=0.05, check_dtype=False)
    half = gate.bfloat16()(x.bfloat16())
    torch.testing.assert_close(half, y, atol=0.05, rtol=0.05, check_dtype=False)
