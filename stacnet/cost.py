"""What a network costs, counted from the built network on meta tensors."""

import math
from dataclasses import dataclass
from functools import lru_cache, partial

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from stacnet.resnet import ResNet, receptive_field
from stacnet.spec import NetworkSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """Static cost of one network.

    Args:
        params: parameters held.
        params_effective: parameters that can get gradient; a kernel's taps that only ever see
            zero padding (a 3x3 on a 1x1 map has eight) never do.
        macs: multiply-accumulates of one image's forward pass, in convolutions and linear layers,
            padding counted.
        activations: elements of all convolution and linear outputs of one image.
        receptive_field: side of the input square that a unit of the last stage sees without
            attention, pixels.
    """

    params: int
    params_effective: int
    macs: int
    activations: int
    receptive_field: int


@lru_cache(maxsize=4096)
def cost(spec: NetworkSpec) -> Cost:
    """Cost of the network of `spec` at its input size."""
    with torch.device("meta"):
        network = ResNet(spec).eval()
        image_1CHW = torch.empty(1, spec.in_channels, spec.input_size, spec.input_size)
    counts = {"activations": 0, "dead": 0}
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(partial(_count_layer, counts))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(image_1CHW)
    params = sum(parameter.numel() for parameter in network.parameters())
    return Cost(
        params=params,
        params_effective=params - counts["dead"],
        macs=counter.get_total_flops() // 2,
        activations=counts["activations"],
        receptive_field=receptive_field(spec),
    )


def _count_layer(
    counts: dict[str, int], layer: nn.Module, inputs: tuple[Tensor], output: Tensor
) -> None:
    counts["activations"] += output.numel()
    if isinstance(layer, nn.Conv2d) and layer.padding_mode == "zeros":
        live = math.prod(
            _live_taps(layer, side, axis=axis) for axis, side in enumerate(inputs[0].shape[-2:])
        )
        taps = math.prod(layer.kernel_size)
        counts["dead"] += layer.weight.numel() // taps * (taps - live)


def _live_taps(conv: nn.Conv2d, side: int, *, axis: int) -> int:
    """Taps along one axis that see a pixel of the map at some output position."""
    kernel, stride = conv.kernel_size[axis], conv.stride[axis]
    padding = int(conv.padding[axis])
    outputs = (side + 2 * padding - kernel) // stride + 1
    return sum(
        any(0 <= out * stride - padding + tap < side for out in range(outputs))
        for tap in range(kernel)
    )
