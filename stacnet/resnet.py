"""Build the network of a spec: a ResNet as in torchvision, with a gate in the chosen blocks.

Module names: `conv1`, `bn1`, `stages.<stage>.<block>` and inside a block as in torchvision, with
`attention` for its gate (nn.Identity where there is none), `fc`.
"""

import math
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stacnet.attention import STAC, Static, make_gate
from stacnet.attention_spec import Position
from stacnet.spec import ResNetSpec

_STEMS = {"s1": (3, 1), "s2": (7, 2), "imagenet": (7, 2)}  # kernel and stride of the stem


def resnet_taps(spec: ResNetSpec, *, position: Position = "post") -> tuple[tuple[str, ...], ...]:
    """Per stage and block, the module whose output attention at `position` receives.

    The names are those of `ResNet(spec)`; with `layer<stage + 1>` for `stages.<stage>` they are
    torchvision's.
    """
    last = 2 if spec.block == "basic" else 3
    norm = f"bn{last if position == 'post' else last - 1}"
    return tuple(
        tuple(f"stages.{stage}.{index}.{norm}" for index in range(num_blocks))
        for stage, num_blocks in enumerate(spec.blocks)
    )


def resnet_receptive_field(spec: ResNetSpec) -> int:
    """Side of the input square that a unit of the last stage sees without attention, pixels."""
    kernel, jump = _STEMS[spec.stem]
    field = kernel
    if spec.stem == "imagenet":
        field, jump = field + 2 * jump, 2 * jump
    for stage, num_blocks in enumerate(spec.blocks):
        for index in range(num_blocks):
            # The shortcut is 1x1 or nothing; it never sees more than the main path.
            field += (spec.kernels[stage] - 1) * jump
            jump *= _stride(stage, index)
            if spec.block == "basic":
                field += (spec.kernels[stage] - 1) * jump
    return field


class ResNet(nn.Module):
    """Residual network (He et al., CVPR 2016; bottlenecks with the stride in the 3x3)."""

    def __init__(self, spec: ResNetSpec) -> None:
        super().__init__()
        kernel, stride = _STEMS[spec.stem]
        self.conv1 = _conv(spec.in_channels, spec.widths[0], kernel=kernel, stride=stride)
        self.bn1 = nn.BatchNorm2d(spec.widths[0])
        self.maxpool = nn.MaxPool2d(3, 2, 1) if spec.stem == "imagenet" else nn.Identity()
        block = BasicBlock if spec.block == "basic" else Bottleneck
        self.stages = nn.Sequential(
            *(
                nn.Sequential(*(block(spec, stage=stage, index=i) for i in range(num_blocks)))
                for stage, num_blocks in enumerate(spec.blocks)
            )
        )
        self.fc = nn.Linear(spec.stage_channels(len(spec.blocks) - 1), spec.classes)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Logits: (B, classes)."""
        x_BCHW = self.maxpool(F.relu(self.bn1(self.conv1(x_BCHW)), inplace=True))
        return self.fc(self.stages(x_BCHW).mean((2, 3)))


class BasicBlock(nn.Module):
    """Two convolutions; attention after the second norm, or after the first (`mid`)."""

    def __init__(self, spec: ResNetSpec, *, stage: int, index: int) -> None:
        super().__init__()
        width, kernel, stride = spec.widths[stage], spec.kernels[stage], _stride(stage, index)
        channels = _in_channels(spec, stage, index)
        self.conv1 = _conv(channels, width, kernel=kernel, stride=stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _conv(width, width, kernel=kernel, stride=1)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(channels, width, stride=stride)
        self.attention, self.is_mid = _attention(spec, stage, index)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H', W')."""
        y_BDhw = self.bn1(self.conv1(x_BCHW))
        if self.is_mid:
            y_BDhw = self.attention(y_BDhw)
        y_BDhw = self.bn2(self.conv2(F.relu(y_BDhw, inplace=True)))
        if not self.is_mid:
            y_BDhw = self.attention(y_BDhw)
        return F.relu(y_BDhw + self.downsample(x_BCHW), inplace=True)


class Bottleneck(nn.Module):
    """1x1, 3x3 (with the stride), 1x1; attention after the third norm, or after the second."""

    def __init__(self, spec: ResNetSpec, *, stage: int, index: int) -> None:
        super().__init__()
        width, out_channels = spec.widths[stage], spec.stage_channels(stage)
        channels, stride = _in_channels(spec, stage, index), _stride(stage, index)
        self.conv1 = _conv(channels, width, kernel=1, stride=1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _conv(width, width, kernel=spec.kernels[stage], stride=stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = _conv(width, out_channels, kernel=1, stride=1)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.downsample = _shortcut(channels, out_channels, stride=stride)
        self.attention, self.is_mid = _attention(spec, stage, index)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H', W')."""
        y_BDhw = F.relu(self.bn1(self.conv1(x_BCHW)), inplace=True)
        y_BDhw = self.bn2(self.conv2(y_BDhw))
        if self.is_mid:
            y_BDhw = self.attention(y_BDhw)
        y_BDhw = self.bn3(self.conv3(F.relu(y_BDhw, inplace=True)))
        if not self.is_mid:
            y_BDhw = self.attention(y_BDhw)
        return F.relu(y_BDhw + self.downsample(x_BCHW), inplace=True)


def initialise(network: nn.Module, generator: torch.Generator) -> None:
    """Fill every parameter and buffer: the vanilla part first, then the gates.

    Convolutions He-normal (fan-out as in torchvision; fan-in in gates, whose hidden layer is
    narrow), norms 1 and 0, the classifier uniform in +-1/sqrt(inputs), biases of gates and static
    gates 0.
    """
    modules = list(network.named_modules())
    for in_gate in (False, True):
        part = [(name, m) for name, m in modules if (".attention." in f"{name}.") == in_gate]
        _initialise_all(part, generator, fan="fan_in" if in_gate else "fan_out")


def initialise_gate(gate: nn.Module, generator: torch.Generator) -> None:
    """Fill a gate on its own, as `initialise` fills those of a network."""
    _initialise_all(gate.named_modules(), generator, fan="fan_in")


def _initialise_all(
    modules: Iterable[tuple[str, nn.Module]], generator: torch.Generator, *, fan: str
) -> None:
    for name, module in modules:
        known = _initialise_one(module, generator, fan=fan)
        own = [
            *dict(module.named_parameters(recurse=False)),
            *dict(module.named_buffers(recurse=False)),
        ]
        if own and not known:  # it would keep whatever was in its memory
            raise ValueError(
                f"a layer with parameters must have a rule in _initialise_one, got "
                f"{name}: {type(module).__name__} with {', '.join(own)}"
            )


def _initialise_one(module: nn.Module, generator: torch.Generator, *, fan: str) -> bool:
    """Whether there is a rule for this kind of layer."""
    match module:
        case nn.Conv2d():
            nn.init.kaiming_normal_(
                module.weight,
                mode=fan,  # type: ignore[arg-type]
                nonlinearity="relu",
                generator=generator,
            )
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        case nn.BatchNorm2d():
            module.reset_parameters()
        case nn.Linear():
            bound = 1 / math.sqrt(module.in_features)
            nn.init.uniform_(module.weight, -bound, bound, generator=generator)
            nn.init.uniform_(module.bias, -bound, bound, generator=generator)
        case STAC():
            module.reset_strength()
        case Static():
            nn.init.zeros_(module.logits)
        case _:
            return False
    return True


def _attention(spec: ResNetSpec, stage: int, index: int) -> tuple[nn.Module, bool]:
    """The gate of a block, and whether it sits in the middle."""
    attention = spec.attention[stage]
    if attention is None or not attention.is_in_block(index, spec.blocks[stage]):
        return nn.Identity(), False
    channels = spec.site_channels(stage, attention.position)
    return make_gate(channels, attention), attention.position == "mid"


def _stride(stage: int, index: int) -> int:
    return 2 if stage > 0 and index == 0 else 1


def _in_channels(spec: ResNetSpec, stage: int, index: int) -> int:
    if index > 0:
        return spec.stage_channels(stage)
    return spec.stage_channels(stage - 1) if stage > 0 else spec.widths[0]


def _shortcut(in_channels: int, out_channels: int, *, stride: int) -> nn.Module:
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    return nn.Sequential(
        _conv(in_channels, out_channels, kernel=1, stride=stride), nn.BatchNorm2d(out_channels)
    )


def _conv(in_channels: int, out_channels: int, *, kernel: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=False)
