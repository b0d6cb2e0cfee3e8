"""How the image flows through a network, seen in one forward pass on meta tensors."""

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from stacnet.attention import GATES
from stacnet.fields import is_whole

BATCH = 2  # images of a pass: some networks squeeze a batch of one, and norms cannot train on it


class _Way(NamedTuple):
    """How a tensor came from the image: the last module with weights, and all weights so far."""

    module: str | None
    weights: int


class Flow(TorchDispatchMode):
    """What one forward pass shows of each module that gives one tensor, by name.

    `shapes` of the outputs, in the order in which modules end; `maker`, the module with weights
    that made the output within it; `merging`, the modules with weights that bring two ways
    together, themselves or by a module without weights; `calls`.
    """

    def __init__(self, network: nn.Module, x_BCHW: Tensor) -> None:
        super().__init__()
        self.modules = dict(network.named_modules())
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.maker: dict[str, str | None] = {}
        self.merging: set[str] = set()
        self.calls: Counter[str] = Counter()
        self.outputs: dict[str, Tensor] = {}
        self._is_weighted = {n: has_weights(m) for n, m in self.modules.items()}.__getitem__
        self._ways = {id(x_BCHW): _Way(None, 0)}
        self._kept = [x_BCHW]  # a tensor that were freed would give its id to another
        self._running: list[str] = []
        for name, module in self.modules.items():
            module.register_forward_pre_hook(lambda *_, name=name: self._running.append(name))
            module.register_forward_hook(lambda *io, name=name: self._end(name, io[-1]))

    def side(self, name: str) -> int:
        """Of the square map that a module gives once, pixels; 0 if it does not."""
        shape = self.shapes.get(name, ())
        is_map = len(shape) == 4 and shape[2] == shape[3] and self.calls[name] == 1
        return shape[2] if is_map else 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
        ways = {id(t): (self._ways[id(t)], t.shape) for t in given if id(t) in self._ways}
        result = func(*args, **(kwargs or {}))
        if not ways:
            return result
        weights = sum(tensor.numel() for tensor in given if id(tensor) not in ways)
        for made in (leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)):
            pixels = made.shape[2:]
            beside = {way.module for way, shape in ways.values() if shape[2:] == pixels}
            if len(beside) > 1 and math.prod(pixels) > 1:
                self.merging.add(next(filter(self._is_weighted, reversed(self._running)), ""))
            alike = [way for way, shape in ways.values() if shape == made.shape]
            longest = max(alike or [way for way, _ in ways.values()], key=lambda way: way.weights)
            module = longest.module if alike or len(ways) == 1 else None
            self._ways[id(made)] = _Way(module, longest.weights + weights)
            self._kept.append(made)
        return result

    def _end(self, name: str, output: Any) -> None:
        self._running.pop()
        self.calls[name] += 1
        if isinstance(output, Tensor) and (way := self._ways.get(id(output))):
            self.outputs[name], self.shapes[name] = output, tuple(output.shape)
            self.maker[name] = way.module
            if self._is_weighted(name):
                self._ways[id(output)] = way._replace(module=name)


def trace(network: nn.Module, *, input_size: int, in_channels: int) -> Flow:
    """What a forward pass of the network without its gates shows.

    Raises:
        ValueError: the network cannot take such an input.
    """
    network = on_meta(network).eval()
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, GATES):
                setattr(module, name, nn.Identity())
    x_BCHW = blank(network, input_size=input_size, in_channels=in_channels)
    flow = Flow(network, x_BCHW)
    with torch.no_grad(), taking(x_BCHW), flow:
        network(x_BCHW)
    return flow


@contextmanager
def taking(x_BCHW: Tensor) -> Iterator[None]:
    """A forward pass that may fail: what the network says, as one line.

    Raises:
        ValueError: it failed.
    """
    try:
        yield
    except Exception as error:  # anybody's network may raise anything
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        shape = tuple(x_BCHW.shape[1:])
        raise ValueError(f"the network must take images of {shape}, got {reason}") from error


def on_meta(network: nn.Module) -> nn.Module:
    """A copy without weights; those of the network are not copied on the way."""
    loose = (v for part in network.modules() for v in vars(part).values() if torch.is_tensor(v))
    twins: dict[int, Any] = {}
    for tensor in (*network.parameters(), *network.buffers(), *loose):
        twin = torch.empty_like(tensor, device="meta")
        is_weight = isinstance(tensor, nn.Parameter)
        twins[id(tensor)] = nn.Parameter(twin, tensor.requires_grad) if is_weight else twin
    return deepcopy(network, twins)


def fill_with_anything(network: nn.Module) -> None:
    """Give a network of the meta device memory on the CPU, whatever is in it.

    As `to_empty`, which imports torch's compiler for it: 2 s.
    """
    held = network.state_dict()
    anything = {name: torch.empty(one.shape, dtype=one.dtype) for name, one in held.items()}
    network.load_state_dict(anything, assign=True)
    for module in network.modules():
        for name, one in module.named_buffers(recurse=False):
            if one.is_meta:  # it is not in the state
                setattr(module, name, torch.empty(one.shape, dtype=one.dtype))


def blank(network: nn.Module, *, input_size: int, in_channels: int) -> Tensor:
    """Images without pixels, in the network's precision: (2, in_channels, input_size, input_size).

    Raises:
        ValueError: a size is no whole number from 1.
    """
    for name, value in (("input_size", input_size), ("in_channels", in_channels)):
        if not is_whole(value, 1):
            raise ValueError(f"{name} must be a whole number of at least 1, got {name}={value!r}")
    dtype = next((w.dtype for w in network.parameters() if w.is_floating_point()), torch.float32)
    shape = (BATCH, in_channels, input_size, input_size)
    try:
        return torch.empty(shape, device="meta", dtype=dtype)
    except RuntimeError:
        raise ValueError(f"images must have a size that can be, got {shape[1:]}") from None


def has_weights(module: nn.Module) -> bool:
    """Whether it, or something in it, has parameters."""
    return next(module.parameters(), None) is not None
