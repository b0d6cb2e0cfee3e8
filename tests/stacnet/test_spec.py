"""The network value: canonical form, identity, and no knob without effect."""

import json
from dataclasses import replace

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from stacnet.attention import STAC, Static, make_gate
from stacnet.attention_spec import CHOICES, AttentionSpec, hidden_channels
from stacnet.network import build
from stacnet.spec import NetworkSpec, ResNetSpec, check_scale_fits, resnet, spec_from_dict

FIELDS = {
    "kind": st.sampled_from(CHOICES["kind"]),
    "scale": st.none() | st.integers(1, 7),
    "kernel": st.sampled_from((1, 3, 5)),
    "reduction": st.integers(1, 12),
    "pool": st.sampled_from(CHOICES["pool"]),
    "upsample": st.sampled_from(CHOICES["upsample"]),
    "fuse": st.sampled_from(CHOICES["fuse"]),
    "padding": st.sampled_from(CHOICES["padding"]),
    "norm": st.sampled_from(CHOICES["norm"]),
    "position": st.sampled_from(CHOICES["position"]),
    "placement": st.sampled_from(("all", "last", (), (0,), (1,), (0, 1), (1, 0))),
}
attentions = st.builds(AttentionSpec, **FIELDS)
sizes = st.sampled_from((1, 2, 3, 4, 5, 6, 8))
few = settings(max_examples=150, deadline=None, derandomize=True)


def tiny(attention: AttentionSpec | None, *, size: int = 4, block: str = "basic") -> NetworkSpec:
    """One stage of two blocks whose map has `size` pixels per side."""
    return ResNetSpec(
        block=block, blocks=(2,), widths=(4,), input_size=size, classes=3, attention=(attention,)
    )


def lively(network: torch.nn.Module) -> torch.nn.Module:
    """No unit dead and no fusion at its start, so that every difference shows; float64."""
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, STAC):
                if module.embed.bias is not None:
                    module.embed.bias.fill_(0.7)
                if module.fuse != "mul":
                    module.strength.fill_(0.6)
            elif isinstance(module, Static):
                module.logits.view(-1).copy_(torch.linspace(-0.2, 0.2, module.logits.numel()))
    return network.double().eval()


def outputs(spec: NetworkSpec) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(6, 3, spec.input_size, spec.input_size, generator=generator).double()
    with torch.no_grad():
        return lively(build(spec, seed=3))(x)


def shapes(spec: NetworkSpec) -> dict[str, torch.Size]:
    return {name: w.shape for name, w in build(spec).state_dict().items()}


@few
@given(attentions, sizes)
def test_the_canonical_form_is_stable_and_survives_json(attention, size):
    spec = tiny(attention, size=size)
    assert replace(spec) == spec
    again = spec_from_dict(json.loads(json.dumps(spec.to_dict())))
    assert again == spec
    assert again.network_id == spec.network_id


@few
@given(attentions, sizes, st.sampled_from(("basic", "bottleneck")), st.data())
def test_changing_any_field_changes_the_network_or_is_the_canonical_original(
    attention, size, block, data
):
    name = data.draw(st.sampled_from(sorted(FIELDS)))
    changed = replace(attention, **{name: data.draw(FIELDS[name])})
    one, other = tiny(attention, size=size, block=block), tiny(changed, size=size, block=block)
    if one == other:
        assert one.network_id == other.network_id
        return
    assert one.network_id != other.network_id
    if shapes(one) == shapes(other):
        assert not torch.allclose(outputs(one), outputs(other), rtol=1e-9, atol=1e-12)


@few
@given(attentions, sizes)
def test_the_canonical_form_computes_what_was_asked_for(attention, size):
    spec = tiny(attention, size=size)
    canonical = spec.attention[0]
    assume(canonical is not None)
    assume(attention.kind != "static")  # its weights are cells: a clamped scale has fewer of them
    assume(attention.padding == "zeros" or attention.kernel == canonical.kernel)
    channels = spec.site_channels(0, attention.position)
    asked, built = make_gate(channels, attention), lively(make_gate(channels, canonical))
    cropped = {name: _centre(w, built) for name, w in lively(asked).state_dict().items()}
    built.load_state_dict(cropped)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, channels, size, size, generator=generator).double()
    torch.testing.assert_close(asked(x), built(x))


def _centre(weight: torch.Tensor, gate: torch.nn.Module) -> torch.Tensor:
    if weight.ndim < 4:
        return weight
    kernel = gate.embed.kernel_size[0]
    skip = (weight.shape[-1] - kernel) // 2
    return weight[:, :, skip : skip + kernel, skip : skip + kernel]


@few
@given(st.integers(1, 300), st.integers(1, 300))
def test_a_canonical_reduction_gives_the_same_hidden_channels(reduction, channels):
    attention = AttentionSpec(reduction=reduction, position="mid")
    spec = ResNetSpec(block="basic", blocks=(1,), widths=(channels,), attention=(attention,))
    canonical = spec.attention[0].reduction
    assert hidden_channels(channels, canonical) == hidden_channels(channels, reduction)
    assert replace(spec) == spec


@pytest.mark.parametrize(
    ("change", "value"),
    [
        ("block", "bottleneck"),
        ("blocks", (1, 2)),
        ("widths", (4, 9)),
        ("stem", "s2"),
        ("stem", "imagenet"),
        ("kernels", (3, 1)),
        ("input_size", 24),
        ("in_channels", 1),
        ("classes", 4),
        ("attention", (None, AttentionSpec())),
    ],
)
def test_every_field_of_a_network_is_part_of_its_identity(change, value):
    spec = ResNetSpec(block="basic", blocks=(1, 1), widths=(4, 8), input_size=16, classes=3)
    changed = replace(spec, **{change: value})
    assert changed.network_id != spec.network_id
    assert shapes(changed) != shapes(spec) or changed.map_sizes != spec.map_sizes


@pytest.mark.parametrize(
    ("one", "other", "size"),
    [
        (AttentionSpec(kind="se"), AttentionSpec(scale=1, kernel=5, padding="circular"), 8),
        (AttentionSpec(kind="ge", scale=1), AttentionSpec(kind="se"), 8),
        (AttentionSpec(kind="ge"), AttentionSpec(kernel=1), 8),
        (AttentionSpec(kind="ge", scale=5), AttentionSpec(kind="ge", scale=4), 8),
        (AttentionSpec(scale=9, pool="max"), AttentionSpec(scale=None), 8),
        (AttentionSpec(scale=2, kernel=7), AttentionSpec(scale=2, kernel=3), 8),
        (AttentionSpec(scale=1, upsample="bilinear"), AttentionSpec(scale=1), 8),
        (
            AttentionSpec(scale=2, padding="reflect"),
            AttentionSpec(scale=2, padding="circular"),
            8,
        ),
        (AttentionSpec(placement=(1,)), AttentionSpec(placement="last"), 8),
        (AttentionSpec(placement=(1, 0)), AttentionSpec(), 8),
        (AttentionSpec(placement=()), None, 8),
        (AttentionSpec(), AttentionSpec(kind="se"), 1),
    ],
)
def test_two_ways_to_write_one_network_are_one_network(one, other, size):
    assert tiny(one, size=size) == tiny(other, size=size)
    assert tiny(one, size=size).network_id == tiny(other, size=size).network_id


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"kind": "cbam"}, "kind must be one of .*, got 'cbam'"),
        ({"pool": "mean"}, "pool must be one of .*, got 'mean'"),
        ({"scale": 0}, "scale must be a whole number of at least 1, got scale=0"),
        ({"scale": 2.0}, r"scale must be a whole number of at least 1, got scale=2\.0"),
        ({"kernel": 2}, "kernel must be odd, got kernel=2"),
        ({"reduction": 0}, "reduction must be a whole number of at least 1, got reduction=0"),
        ({"placement": "first"}, "placement must be all, last or a tuple .*, got 'first'"),
        ({"placement": (2,)}, r"placement must name blocks 0 to 1, got placement=\(2,\)"),
    ],
)
def test_attention_that_cannot_be_is_refused_with_rule_and_value(wrong, match):
    with pytest.raises(ValueError, match=match):
        tiny(AttentionSpec(**wrong))


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"block": "wide"}, "block must be one of .*, got 'wide'"),
        ({"blocks": (2, 0)}, r"blocks must be whole numbers of at least 1, got blocks=\(2, 0\)"),
        ({"widths": (4,)}, r"widths must have one entry per stage, got widths=\(4,\) for 2"),
        ({"kernels": (3, 5)}, r"kernels of stages must be 1 or 3, got kernels=\(3, 5\)"),
        ({"classes": 0}, "at least 1, got .*0"),
    ],
)
def test_a_network_that_cannot_be_is_refused_with_rule_and_value(wrong, match):
    with pytest.raises(ValueError, match=match):
        ResNetSpec(**({"block": "basic", "blocks": (1, 1), "widths": (4, 8)} | wrong))


def test_a_description_with_an_unknown_field_is_refused():
    with pytest.raises(ValueError, match=r"network description does not fit: .*colour"):
        spec_from_dict(resnet(8).to_dict() | {"colour": "red"})


def test_a_scale_larger_than_its_map_is_refused_by_name_of_the_stage():
    with pytest.raises(ValueError, match="got scale=8 for stage 3 with a 4x4 map"):
        check_scale_fits(resnet(8, input_size=16), 2, 8)
