"""Sites: in networks of torchvision, timm, ours, and of all that a forward pass may do."""

import pytest
import timm
import torch
import torch.nn.functional as F
from networks_table import network
from torch import Tensor, nn
from torchvision.models import resnet18

from stacnet.attention_spec import AttentionSpec
from stacnet.network import build, taps
from stacnet.sites import Site, sites
from stacnet.spec import resnet


class Residual(nn.Module):
    """As much code has it: functional activations, an addition in place."""

    def __init__(self, channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1)
        self.bn2 = nn.BatchNorm2d(width)
        self.shortcut = nn.Sequential()
        if stride > 1:
            self.shortcut = nn.Sequential(nn.Conv2d(channels, width, 1, stride))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        y_BDhw = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x_BCHW)))))
        y_BDhw += self.shortcut(x_BCHW)
        return F.relu(y_BDhw, inplace=True)


class PreActivated(Residual):
    """Norms before convolutions, and an SE written into the forward pass."""

    def __init__(self, channels: int, width: int, stride: int = 1) -> None:
        super().__init__(channels, width, stride)
        self.bn1 = nn.BatchNorm2d(channels)
        self.squeeze = nn.Conv2d(width, width, 1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        y_BCHW = F.relu(self.bn1(x_BCHW))
        z_BDhw = self.conv2(F.relu(self.bn2(self.conv1(y_BCHW))))
        gate_BD11 = self.squeeze(F.adaptive_avg_pool2d(z_BDhw, 1)).sigmoid()
        return z_BDhw * gate_BD11 + self.shortcut(y_BCHW)


class Join(nn.Module):
    """An addition as a module."""

    def forward(self, x_BCHW: Tensor, y_BCHW: Tensor) -> Tensor:
        return x_BCHW + y_BCHW


class Narrowing(nn.Module):
    """A block with a shortcut where it keeps its shape, and a chain where it does not."""

    def __init__(self, channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.join = Join() if channels == width else None
        self.branch = nn.Sequential(
            nn.Sequential(nn.Conv2d(channels, width, 3, stride, 1), nn.BatchNorm2d(width))
        )

    def forward(self, x_BCHW: Tensor) -> Tensor:
        y_BDhw = self.branch(x_BCHW)
        return self.join(x_BCHW, y_BDhw) if self.join else y_BDhw


class Concatenating(nn.Module):
    """Its map is that of no part of it."""

    def __init__(self, channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.fine = nn.Conv2d(channels, width // 2, 1, stride)
        self.coarse = nn.Conv2d(channels, width // 2, 3, stride, 1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return F.relu(torch.cat([self.fine(x_BCHW), self.coarse(x_BCHW)], 1))


class Wrapping(nn.Sequential):
    """A sequence with a shortcut around it."""

    def __init__(self, channels: int, width: int, stride: int = 1) -> None:
        super().__init__(nn.Conv2d(channels, width, 3, stride, 1), nn.BatchNorm2d(width))
        self.stride = stride

    def forward(self, input: Tensor) -> Tensor:  # so it is called in torch
        return super().forward(input) + input[:, :1, :: self.stride, :: self.stride]


class Network(nn.Module):
    """A stem with a functional swish, three blocks over two map sizes, a classifier."""

    def __init__(self, block: type[nn.Module]) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, 1, 1)
        self.blocks = nn.ModuleList([block(4, 4), block(4, 8, 2), block(8, 8)])
        self.fc = nn.Linear(8, 2)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        x_BCHW = self.stem(x_BCHW)
        x_BCHW = x_BCHW * x_BCHW.sigmoid()
        for block in self.blocks:
            x_BCHW = block(x_BCHW)
        return self.fc(x_BCHW.mean((2, 3)))


@pytest.mark.parametrize(
    ("block", "name"),
    [
        (Residual, "bn2"),
        (PreActivated, "conv2"),
        (Narrowing, "branch.0.1"),
        (Concatenating, ""),
        (Wrapping, "1"),
    ],
)
def test_a_site_ends_the_branch_however_the_block_is_written(
    block: type[nn.Module], name: str
) -> None:
    found = sites(Network(block), input_size=8)
    names = [f"blocks.{number}.{name}".rstrip(".") for number in range(3)]
    assert found == (
        Site(name=names[0], stage=0, channels=4, side=8),
        Site(name=names[1], stage=1, channels=8, side=4),
        Site(name=names[2], stage=1, channels=8, side=4),
    )


@pytest.mark.parametrize("depth", [8, 50])
@pytest.mark.parametrize(
    "attention",
    [
        None,
        AttentionSpec(scale=2, fuse="affine"),
        AttentionSpec(position="mid"),
        AttentionSpec(kind="scconv", scale=2),
        AttentionSpec(kind="static", scale=1),
    ],
    ids=lambda spec: spec and f"{spec.kind}-{spec.position}",
)
def test_sites_of_ours_are_where_our_gates_are_with_gates_and_without(
    depth: int, attention: AttentionSpec | None
) -> None:
    spec = resnet(depth, width=8, input_size=32, attention=attention)
    found = sites(build(spec), input_size=32)
    assert [site.name for site in found] == [name for stage in taps(spec) for name in stage]
    for stage, side in enumerate(spec.map_sizes):
        of_stage = {(s.side, s.channels) for s in found if s.stage == stage}
        assert of_stage == {(side, spec.stage_channels(stage))}


@pytest.mark.parametrize("name", ["resnet18", "resnext50_32x4d"])
def test_the_same_network_of_two_libraries_has_the_same_sites(name: str) -> None:
    with torch.device("meta"):
        theirs = timm.create_model(name)
    assert sites(theirs, input_size=64) == sites(network(name), input_size=64)


def test_a_network_is_left_as_it_was_and_needs_no_weights() -> None:
    model = resnet18().train()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    found = sites(model, input_size=64)
    assert model.training
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, before[name])
    assert sites(model.to("meta"), input_size=64) == found
    assert sites(model.half(), input_size=64) == found


def test_maps_of_one_pixel_and_modules_that_run_twice_are_no_sites() -> None:
    assert [s.side for s in sites(Network(Residual), input_size=2)] == [2]
    model = Network(Residual)
    model.blocks[0].bn2 = model.blocks[0].bn1  # one module for both places
    assert next(s.name for s in sites(model, input_size=8)) == "blocks.0"
    model.blocks.append(model.blocks[2])
    assert [s.name for s in sites(model, input_size=8)] == ["blocks.0", "blocks.1.bn2"]


def test_a_module_that_is_shared_by_several_is_no_site() -> None:
    relu, norm = nn.ReLU(), nn.BatchNorm2d(4)
    model = nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 4, 1), norm, relu),
        Narrowing(4, 4),
        nn.Sequential(nn.Conv2d(4, 4, 1), norm, relu),
    )
    assert [site.name for site in sites(model, input_size=4)] == ["1.branch.0.1"]


def test_a_network_without_blocks_has_a_site_after_each_activation() -> None:
    shared = nn.ReLU()
    model = nn.Sequential(
        *(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(4, 8, 3, padding=1), shared, nn.Conv2d(8, 8, 3, padding=1), shared),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2)),
    )
    assert [(s.name, s.stage, s.side) for s in sites(model, input_size=8)] == [
        ("2", 0, 8),
        ("4", 1, 4),
        ("6", 1, 4),
    ]


@pytest.mark.parametrize(
    ("model", "size", "message"),
    [
        ("vit_b_16", 224, r"must have sites for gates, got none: its modules give tokens, such"),
        ("swin_t", 224, r"maps must be square \(N, C, S, S\), got \(2, 56, 56, 96\)"),
        ("vit_b_16", 64, r"must take images of \(3, 64, 64\), got Wrong image height!"),
        ("resnet18", 0, "input_size must be a whole number of at least 1, got input_size=0"),
        (nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), 2, "no block or convolution gives a map"),
        (nn.Conv2d(3, 4, 3, (2, 1)), 8, r"maps must be square .* got \(2, 4, 3, 6\)"),
    ],
)
def test_a_network_without_sites_is_told_why(
    model: str | nn.Module, size: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        sites(network(model) if isinstance(model, str) else model, input_size=size)
