"""Zero-cost proxies: scores of untrained networks from one mini-batch.

After Abdelfattah et al. (ICLR 2021), where each is defined, and NASWOT (Mellor et al., ICML 2021).
Shapes: B images.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Literal, assert_never, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Proxy = Literal["naswot", "synflow", "grad_norm", "snip"]
PROXIES: tuple[Proxy, ...] = get_args(Proxy)


def proxy_score(proxy: Proxy, network: nn.Module, x_BCHW: Tensor, y_B: Tensor) -> float:
    """Score of an untrained network, higher is better; the network is left as it was.

    Args:
        x_BCHW, y_B: one mini-batch.
    """
    match proxy:
        case "naswot":
            return naswot(network, x_BCHW)
        case "synflow":
            return synflow(network, x_BCHW)
        case "grad_norm":
            grads = _gradients(network, x_BCHW, y_B)
            return float(sum(grad.square().sum() for _, grad in grads) ** 0.5)
        case "snip":
            grads = _gradients(network, x_BCHW, y_B)
            return float(sum((weight * grad).abs().sum() for weight, grad in grads))
        case _:
            assert_never(proxy)


def naswot(network: nn.Module, x_BCHW: Tensor) -> float:
    """log |det K_H| of the Hamming kernel of the inputs' ReLU patterns (after batch norms).

    The sign of every batch norm's output stands for the ReLU that follows it.
    """
    kernel_BB = torch.zeros(len(x_BCHW), len(x_BCHW), dtype=torch.float64)

    def receive(module: nn.Module, inputs: object, output: Tensor) -> None:
        on_BF = (output.detach().flatten(1) > 0).float()
        same_BB = on_BF @ on_BF.T + (1 - on_BF) @ (1 - on_BF).T
        kernel_BB.add_(same_BB.double().cpu())

    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    hooks = [norm.register_forward_hook(receive) for norm in norms]
    try:
        with torch.no_grad(), _in_train_mode(network):
            network(x_BCHW)
    finally:
        for hook in hooks:
            hook.remove()
    return float(torch.linalg.slogdet(kernel_BB).logabsdet)


def synflow(network: nn.Module, x_BCHW: Tensor) -> float:
    """log of the sum of |weight * gradient| on an image of ones, weights absolute, norms off.

    Tanaka et al. (NeurIPS 2020); in double precision, the logarithm because it overflows.
    """
    state = {name: value.clone() for name, value in network.state_dict().items()}
    was_training = network.training
    dtype = x_BCHW.dtype
    network.double().eval()  # in eval mode a fresh norm is the identity
    try:
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.abs_()
        network.zero_grad()
        network(torch.ones_like(x_BCHW[:1], dtype=torch.float64)).sum().backward()
        weights = [p for p in network.parameters() if p.grad is not None and p.dim() > 1]
        total = sum((p.detach() * p.grad).abs().sum() for p in weights if p.grad is not None)
        return float(torch.as_tensor(total).clamp(min=1e-300).log())
    finally:
        network.zero_grad()
        network.to(dtype).train(was_training)
        network.load_state_dict(state)


def _gradients(network: nn.Module, x_BCHW: Tensor, y_B: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Weights of convolutions and linear layers, and the loss's gradients."""
    weights = [p for p in network.parameters() if p.dim() > 1]
    with _in_train_mode(network):
        loss = F.cross_entropy(network(x_BCHW), y_B)
        grads = torch.autograd.grad(loss, weights, allow_unused=True)
    pairs: Iterable[tuple[Tensor, Tensor | None]] = zip(weights, grads, strict=True)
    return [(weight.detach(), grad) for weight, grad in pairs if grad is not None]


@contextmanager
def _in_train_mode(network: nn.Module) -> Iterator[None]:
    """Batch statistics, with the running ones put back afterwards."""
    was_training = network.training
    buffers = {name: value.clone() for name, value in network.named_buffers()}
    network.train()
    try:
        yield
    finally:
        network.train(was_training)
        with torch.no_grad():
            for name, value in network.named_buffers():
                value.copy_(buffers[name])
