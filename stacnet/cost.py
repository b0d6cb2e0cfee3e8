"""What a network costs, counted from the built network on meta tensors."""

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from stacnet.attention import make_gate
from stacnet.flow import BATCH, blank, on_meta, taking
from stacnet.resnet import ResNet, receptive_field
from stacnet.spec import AttentionSpec, NetworkSpec

_ADDITIVE = ("params", "params_effective", "macs", "activations", "saved_bytes")


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """Static cost of any module on one input.

    Args:
        params: parameters held.
        params_effective: parameters that can get gradient; a kernel's taps that only ever see
            zero padding (a 3x3 on a 1x1 map has eight) never do.
        macs: multiply-accumulates of one image's forward pass, in convolutions and linear layers,
            padding counted.
        activations: elements of all convolution and linear outputs of one image.
        saved_bytes: what autograd keeps of one image's forward pass in fp32, bytes.
    """

    params: int
    params_effective: int
    macs: int
    activations: int
    saved_bytes: int

    def train_memory_bytes(self, batch_size: int) -> int:
        """Estimated peak of one SGD step in fp32: weights, gradients, momentum and what is saved.

        Buffers of single operations (convolution workspaces, the gradients passing through) come
        on top.
        """
        return 3 * 4 * self.params + batch_size * self.saved_bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost(Counts):
    """Static cost of one network of ours.

    Args:
        receptive_field: side of the input square that a unit of the last stage sees without
            attention, pixels.
    """

    receptive_field: int


@lru_cache(maxsize=4096)
def cost(spec: NetworkSpec) -> Cost:
    """Cost of the network of `spec` at its input size, counted from one pass on meta tensors."""
    with torch.device("meta"):
        network = ResNet(spec)
    x_BCHW = blank(network, input_size=spec.input_size, in_channels=spec.in_channels)
    return Cost(**_count(network, x_BCHW), receptive_field=receptive_field(spec))


def cost_of(network: nn.Module, *, input_size: int, in_channels: int = 3) -> Counts:
    """Cost of anybody's network, its gates included, in training mode; it is left as it was.

    Raises:
        ValueError: the network cannot take such an input.
    """
    network = on_meta(network).train()
    x_BCHW = blank(network, input_size=input_size, in_channels=in_channels)
    with taking(x_BCHW):
        return Counts(**_count(network, x_BCHW))


def price(spec: NetworkSpec) -> Cost:
    """The same cost, put together: the vanilla network plus the gates, each counted on its own.

    A gate changes no shape outside itself, so costs add up, and a space of many thousand points
    is priced from one network and a handful of gates.
    """
    base = cost(spec.vanilla)
    totals = {name: getattr(base, name) for name in _ADDITIVE}
    for stage, attention in enumerate(spec.attention):
        if attention is None:
            continue
        blocks = range(spec.blocks[stage])
        num_gates = sum(attention.is_in_block(index, len(blocks)) for index in blocks)
        channels = spec.site_channels(stage, attention.position)
        gate = gate_cost(attention, channels=channels, size=spec.map_sizes[stage])
        for name in _ADDITIVE:
            totals[name] += num_gates * getattr(gate, name)
    return replace(base, **totals)


@lru_cache(maxsize=100_000)
def gate_cost(attention: AttentionSpec, *, channels: int, size: int) -> Counts:
    """Cost of a gate alone on a map of (channels, size, size)."""
    with torch.device("meta"):
        gate = make_gate(channels, attention)
        x_BCHW = torch.empty(BATCH, channels, size, size, requires_grad=True)
        return Counts(**_count(gate, x_BCHW))


def _count(network: nn.Module, x_BCHW: Tensor) -> dict[str, int]:
    """Everything that adds up, of one forward pass in training mode."""
    layers = _LayerCounts()
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(layers.add)
    saved = _SavedBytes(network)
    flops = FlopCounterMode(display=False)
    with saved_tensors_hooks(saved.add, lambda kept: kept), flops, _ShapesOfNorms():
        network(x_BCHW)
    params = sum(parameter.numel() for parameter in network.parameters())
    return {
        "params": params,
        "params_effective": params - layers.dead_weights,
        "macs": flops.get_total_flops() // 2 // BATCH,
        "activations": layers.outputs // BATCH,
        "saved_bytes": saved.total // BATCH,
    }


class _ShapesOfNorms(TorchDispatchMode):
    """Batch norms of meta tensors give shapes at once: torch reckons them through, in Python."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func.overloadpacket is not torch.ops.aten.native_batch_norm:
            return func(*args, **(kwargs or {}))
        x_BCHW = args[0]
        mean_C, deviation_C = (x_BCHW.new_empty(x_BCHW.shape[1]) for _ in range(2))
        return torch.empty_like(x_BCHW), mean_C, deviation_C


class _LayerCounts:
    """Sums over the convolution and linear layers, filled by forward hooks."""

    def __init__(self) -> None:
        self.outputs = 0
        self.dead_weights = 0

    def add(self, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        self.outputs += output.numel()
        if isinstance(layer, nn.Conv2d) and layer.padding_mode == "zeros":
            sides = enumerate(inputs[0].shape[-2:])
            live = math.prod(_live_taps(layer, side, axis=axis) for axis, side in sides)
            taps = math.prod(layer.kernel_size)
            self.dead_weights += layer.weight.numel() // taps * (taps - live)


class _SavedBytes:
    """Bytes that autograd keeps for the backward pass, weights left out, each storage once."""

    def __init__(self, network: nn.Module) -> None:
        self.total = 0
        self._seen = {StorageWeakRef(p.untyped_storage()) for p in network.parameters()}

    def add(self, saved: Tensor) -> Tensor:
        storage = saved.untyped_storage()
        if StorageWeakRef(storage) not in self._seen:
            self._seen.add(StorageWeakRef(storage))
            self.total += storage.nbytes()
        return saved


def _live_taps(conv: nn.Conv2d, side: int, *, axis: int) -> int:
    """Taps along one axis that see a pixel of the map at some output position."""
    kernel, stride, padding = conv.kernel_size[axis], conv.stride[axis], int(conv.padding[axis])
    positions = range(-padding, side + padding - kernel + 1, stride)
    return sum(any(0 <= first + tap < side for first in positions) for tap in range(kernel))
