"""Pooled responses of any network, seen through hooks."""

import pytest
import timm
import torch
import torchvision
from torch import nn

from stacnet.network import build, taps
from stacnet.probe import probing
from stacnet.spec import resnet

Seen = dict[tuple[str, int | None], torch.Tensor]


def look(model: nn.Module, names: list[str], scales: tuple[int | None, ...], size: int) -> Seen:
    seen: Seen = {}

    def receive(tap: str, scale: int | None, responses: torch.Tensor) -> None:
        seen[tap, scale] = responses.clone()

    x = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), probing(model, names, scales=scales, receive=receive):
        model.eval()(x)
    return seen


def test_one_pass_gives_every_tap_at_every_scale():
    spec = resnet(10, width=4, input_size=16)
    names = [name for stage in taps(spec) for name in stage]
    seen = look(build(spec), names, (1, 2, None), 16)
    shapes = {key: tuple(responses.shape) for key, responses in seen.items()}
    for name, channels, size in zip(names, (4, 8, 16, 32), (16, 8, 4, 2), strict=True):
        assert shapes[name, 1] == (2, channels, 1)
        assert shapes[name, 2] == (2, channels, 4)
        assert shapes[name, None] == (2, channels, size * size)
    assert len(shapes) == 12


def test_responses_are_cell_averages_in_row_major_order():
    model = nn.Sequential(nn.Identity())
    seen = look(model, ["0"], (2, 64, None), 4)
    native = seen["0", None].unflatten(2, (4, 4))
    assert torch.equal(seen["0", 64], seen["0", None])
    averages = native.unflatten(3, (2, 2)).unflatten(2, (2, 2)).mean((3, 5)).flatten(2)
    torch.testing.assert_close(seen["0", 2], averages)


@pytest.mark.parametrize("make", [torchvision.models.resnet18, timm.models.resnet18])
def test_networks_of_torchvision_and_timm_are_probed_by_module_names(make):
    model = make()
    seen = look(model, ["layer1.1.bn2", "layer4"], (2,), 32)
    assert seen["layer1.1.bn2", 2].shape == (2, 64, 4)
    assert seen["layer4", 2].shape == (2, 512, 1)


def test_bf16_responses_arrive_as_float32():
    spec = resnet(8, width=4, input_size=8)
    seen: list[torch.dtype] = []
    model = build(spec).eval()
    with (
        torch.autocast("cpu", torch.bfloat16),
        probing(model, ["conv1"], scales=(2,), receive=lambda t, s, r: seen.append(r.dtype)),
    ):
        model(torch.zeros(1, 3, 8, 8))
    assert seen == [torch.float32]


def test_the_network_is_left_without_hooks_even_after_an_error():
    model = build(resnet(8, width=4, input_size=8))
    with (
        pytest.raises(RuntimeError, match="stop"),
        probing(model, ["conv1"], scales=(1,), receive=lambda t, s, r: None),
    ):
        raise RuntimeError("stop")
    assert not any(module._forward_hooks for module in model.modules())


def test_an_unknown_tap_is_refused_with_the_names_that_exist():
    model = build(resnet(8, width=4, input_size=8))
    with (
        pytest.raises(ValueError, match=r"\(conv1, bn1, .*stages\.0\.0\.bn2.*\), got 'layer1'"),
        probing(model, ["layer1"], scales=(1,), receive=lambda t, s, r: None),
    ):
        pass


def test_an_output_that_is_no_map_is_refused_with_its_shape():
    model = build(resnet(8, width=4, input_size=8, classes=5))
    with (
        pytest.raises(ValueError, match=r"tap 'fc' must have shape \(N, C, H, W\), got \(2, 5\)"),
        probing(model, ["fc"], scales=(1,), receive=lambda t, s, r: None),
    ):
        model(torch.zeros(2, 3, 8, 8))
