"""What a network costs, counted from the built network in a pass of no images."""

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.multiprocessing.reductions import StorageWeakRef

from stacnet.attention import make_gate
from stacnet.flow import BATCH, blank, fill_with_anything, on_meta, taking
from stacnet.network import outline, receptive_field
from stacnet.spec import AttentionSpec, NamedSpec, NetworkSpec

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
    """Static cost of a described network.

    Args:
        receptive_field: side of the input square that a unit of the last stage sees without
            attention, pixels; None for networks that are not ours.
    """

    receptive_field: int | None


@lru_cache(maxsize=4096)
def cost(spec: NetworkSpec) -> Cost:
    """Cost of the network of `spec` at its input size, counted from one pass."""
    network, shape = outline(spec), (spec.in_channels, spec.input_size, spec.input_size)
    if isinstance(spec, NamedSpec):
        counted = _count(network, torch.empty(BATCH, *shape, device="meta"))
    else:
        counted = _count_of_ours(network, shape)
    return Cost(**counted, receptive_field=receptive_field(spec))


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
        for channels in spec.gate_channels(stage):
            assert attention is not None
            gate = gate_cost(attention, channels=channels, size=spec.map_sizes[stage])
            for name in _ADDITIVE:
                totals[name] += getattr(gate, name)
    return replace(base, **totals)


@lru_cache(maxsize=100_000)
def gate_cost(attention: AttentionSpec, *, channels: int, size: int) -> Counts:
    """Cost of a gate alone on a map of (channels, size, size)."""
    with torch.device("meta"):
        gate = make_gate(channels, attention)
    return Counts(**_count_of_ours(gate, (channels, size, size)))


def _count_of_ours(network: nn.Module, shape: tuple[int, int, int]) -> dict[str, int]:
    """The counts from a pass of no images: it has all shapes, and computes nothing.

    On meta tensors they are the same, but torch imports its compiler for these, 3 s of each
    process. Not every network can take no images: `view(len(x), -1)` cannot.
    """
    fill_with_anything(network)
    return _count(network, torch.empty(0, *shape, requires_grad=True))


def _count(network: nn.Module, x_BCHW: Tensor) -> dict[str, int]:
    """Everything that adds up, of one image, in training mode."""
    layers = _LayerCounts()
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(layers.add)
    saved = _SavedBytes(network, batch=len(x_BCHW))
    with saved_tensors_hooks(saved.add, lambda kept: kept):
        network(x_BCHW)
    params = sum(parameter.numel() for parameter in network.parameters())
    return {
        "params": params,
        "params_effective": params - layers.dead_weights,
        "macs": layers.macs,
        "activations": layers.outputs,
        "saved_bytes": saved.total,
    }


class _LayerCounts:
    """Sums over the convolution and linear layers, filled by forward hooks."""

    def __init__(self) -> None:
        self.macs = self.outputs = self.dead_weights = 0

    def add(self, layer: nn.Conv2d | nn.Linear, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        outputs = math.prod(output.shape[1:])
        self.outputs += outputs
        self.macs += outputs * layer.weight[0].numel()
        if isinstance(layer, nn.Conv2d) and layer.padding_mode == "zeros":
            sides = enumerate(inputs[0].shape[-2:])
            live = math.prod(_live_taps(layer, side, axis=axis) for axis, side in sides)
            taps = math.prod(layer.kernel_size)
            self.dead_weights += layer.weight.numel() // taps * (taps - live)


class _SavedBytes:
    """Bytes that autograd keeps of each image for the backward pass, each storage once."""

    def __init__(self, network: nn.Module, *, batch: int) -> None:
        self.total, self._batch = 0, batch
        self._seen = {StorageWeakRef(p.untyped_storage()) for p in network.parameters()}

    def add(self, saved: Tensor) -> Tensor:
        storage = StorageWeakRef(saved.untyped_storage())
        if storage not in self._seen and saved.ndim > 1 and len(saved) == self._batch:
            self._seen.add(storage)
            self.total += math.prod(saved.shape[1:]) * saved.element_size()
        return saved


def _live_taps(conv: nn.Conv2d, side: int, *, axis: int) -> int:
    """Taps along one axis that see a pixel of the map at some output position."""
    kernel, stride, padding = conv.kernel_size[axis], conv.stride[axis], int(conv.padding[axis])
    positions = range(-padding, side + padding - kernel + 1, stride)
    return sum(any(0 <= first + tap < side for first in positions) for tap in range(kernel))
