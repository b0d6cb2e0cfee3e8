"""The training recipe as functions: optimiser, learning rate, loss and precision.

Shapes: B images, K classes.
"""

import math
from inspect import unwrap
from typing import assert_never

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stacnet.data.augment import Batch
from stacnet.protocol import Protocol


class LeanSGD(torch.optim.SGD):
    """torch's SGD without the wrappers that import torch's compiler, 2 s of each process.

    They keep these methods from being compiled, which nobody does here.
    """

    step = torch.no_grad()(unwrap(torch.optim.SGD.step))
    zero_grad = unwrap(torch.optim.SGD.zero_grad)
    add_param_group = unwrap(torch.optim.SGD.add_param_group)
    state_dict = unwrap(torch.optim.SGD.state_dict)
    load_state_dict = unwrap(torch.optim.SGD.load_state_dict)


def optimizer(network: nn.Module, protocol: Protocol) -> LeanSGD:
    """SGD with Nesterov momentum; norm parameters, biases and scalars are not decayed."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": protocol.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return LeanSGD(
        [group for group in groups if group["params"]],
        lr=protocol.lr,
        momentum=protocol.momentum,
        nesterov=protocol.momentum > 0,
        fused=True,
    )


def learning_rate(protocol: Protocol, *, step: int, steps_per_epoch: int) -> float:
    """Learning rate of a step, counted from 0 over all epochs."""
    total = protocol.epochs * steps_per_epoch
    warmup = protocol.warmup_epochs * steps_per_epoch
    rise = min(1.0, (step + 1) / warmup) if warmup else 1.0
    match protocol.schedule:
        case "cosine":
            share = max(0.0, step - warmup) / max(1.0, total - warmup)
            return protocol.lr * rise * 0.5 * (1 + math.cos(math.pi * share))
        case "step":
            return protocol.lr * rise * 0.2 ** (4 * step // total)
        case _:
            assert_never(protocol.schedule)


def loss(logits_BK: Tensor, batch: Batch, *, smoothing: float) -> Tensor:
    """Mean cross-entropy (nats), towards both classes of a mixed image."""
    value = F.cross_entropy(logits_BK, batch.y_B, label_smoothing=smoothing)
    if isinstance(batch.share, float) and batch.share == 1.0:
        return value
    other = F.cross_entropy(logits_BK, batch.other_B, label_smoothing=smoothing)
    return batch.share * value + (1 - batch.share) * other


def autocast(protocol: Protocol, device: torch.device) -> torch.autocast:
    """bfloat16 where the recipe asks for it and the device computes in it, else float32."""
    enabled = protocol.precision == "bf16" and has_bf16(device)
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled)


def has_bf16(device: torch.device) -> bool:
    """Whether the device has instructions for bfloat16."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and torch.ops.mkldnn._is_mkldnn_bf16_supported()
