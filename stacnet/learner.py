"""What a run changes: the network, its optimiser and its averaged weights; one step of learning."""

import ctypes
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from stacnet import recipe
from stacnet.data.augment import Batch
from stacnet.network import build
from stacnet.protocol import Protocol
from stacnet.recorded import Recorded
from stacnet.spec import NamedSpec, NetworkSpec

EAGER_STEPS = 3  # on a GPU, before a step is recorded: they choose kernels and make the momentum
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of mallopt(3)


@lru_cache(maxsize=1)
def keep_freed_memory() -> None:
    """Let this process keep the memory that it frees; does nothing where libc is not glibc.

    Each step frees and takes back the same activations. glibc gives large ones back to the system
    at once, whose fresh zeroed pages cost 2 to 9 % of a step (docs/benchmarks.md).
    """
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, -1)


class Learner:
    """A network that learns from batches.

    Args:
        spec: the network.
        protocol: the recipe.
        seed: of the weights.
        device: where it lives.
        compiled: whether torch.compile prepares it; pays back after a few thousand steps on a GPU.
    """

    def __init__(
        self,
        spec: NetworkSpec,
        protocol: Protocol,
        *,
        seed: int,
        device: torch.device,
        compiled: bool,
    ) -> None:
        self._protocol, self._device = protocol, device
        if device.type == "cpu":
            keep_freed_memory()
        self.model = build(spec, seed=seed).to(device)
        if device.type != "cpu" or _is_safe_in_channels_last(spec, self.model):
            self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._optimizer = recipe.optimizer(self.model, protocol)
        self._average = _average(self.model, protocol)
        self._records, self._eager = device.type == "cuda", 0
        self._rate = torch.zeros((), device=device)
        self._recorded: Recorded | None = None
        if compiled:
            self.model.compile()

    @property
    def evaluated_model(self) -> nn.Module:
        """The network that is evaluated and published: the averaged one if the recipe averages."""
        return self.model if self._average is None else self._average.module

    def learn(self, batch: Batch, *, rate: float) -> Tensor:
        """One step. Returns the sum of losses and the number of right answers, float64 (2,)."""
        self._set_rate(rate)
        if self._records and self._recorded is None and self._eager >= EAGER_STEPS:
            self._record(batch)
        self._eager += 1
        sums = self._step(batch) if self._recorded is None else self._recorded(batch)
        if self._average is not None:
            self._average.update_parameters(self.model)
        return sums

    def _step(self, batch: Batch) -> Tensor:
        protocol = self._protocol
        with recipe.autocast(protocol, self._device):
            logits_BK = self.model(batch.x_BCHW)
        loss = recipe.loss(logits_BK.float(), batch, smoothing=protocol.label_smoothing)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if protocol.clip_norm:
            nn.utils.clip_grad_norm_(self.model.parameters(), protocol.clip_norm)
        self._optimizer.step()
        correct = (logits_BK.detach().argmax(1) == batch.y_B).sum()
        return torch.stack([loss.detach().double() * len(batch.y_B), correct.double()])

    def _record(self, batch: Batch) -> None:
        """Record the step; one that cannot be recorded (it waits for the device) stays eager."""
        if self._protocol.mixup or self._protocol.cutmix:
            batch = replace(batch, share=torch.tensor(batch.share, device=self._device))
        try:
            self._recorded = Recorded(self._step, batch)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError:
            self._records = False

    def _set_rate(self, rate: float) -> None:
        """A recorded step reads it from the device."""
        for group in self._optimizer.param_groups:
            if self._records:
                group["lr"] = self._rate.fill_(rate)
            else:
                group["lr"] = rate

    def state_dict(self) -> dict[str, Any]:
        """Tensors that learning goes on changing."""
        optimizer = self._optimizer.state_dict()
        for group in optimizer["param_groups"]:
            group["lr"] = float(group["lr"])
        return {
            "model": self.model.state_dict(),
            "optimizer": optimizer,
            "average": None if self._average is None else self._average.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Inverse of `state_dict`."""
        self._recorded, self._eager = None, 0  # it reads a momentum that is replaced here
        self.model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        if self._average is not None:
            self._average.load_state_dict(state["average"])


def _is_safe_in_channels_last(spec: NetworkSpec, model: nn.Module) -> bool:
    """Whether oneDNN's strided 1x1 convolutions stay within their memory.

    In torch 2.15 (oneDNN 3.13) the weight gradient of a 1x1 stride-2 convolution in channels_last
    overruns its buffer: heap corruption, then a crash. With AVX-512 that is so with fewer than 16
    input channels on maps of 56 pixels and more (not seen at 54); with AVX2 with fewer than 8 (2
    and 4 crash, 8 does not) on maps of any size.
    """
    if isinstance(spec, NamedSpec):
        layers = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
        strided = [one.in_channels for one in layers if max(one.stride) > 1 == max(one.kernel_size)]
        return min(strided, default=16) >= 16
    narrowest = min(spec.widths)
    return narrowest >= 16 or (narrowest >= 8 and spec.input_size < 50)


def _average(model: nn.Module, protocol: Protocol) -> AveragedModel | None:
    if not protocol.ema:
        return None
    average = get_ema_multi_avg_fn(protocol.ema)
    return AveragedModel(model, multi_avg_fn=average, use_buffers=True)
