"""Zero-cost proxies: scores of untrained networks from one mini-batch.

After Abdelfattah et al. (ICLR 2021), where each is defined, and NASWOT (Mellor et al., ICML 2021).
A ReLU or a gate's sigmoid is seen wherever it is called. A fresh gate is about one half everywhere,
so that no score of an untrained network can know its scale well; where a score sees nothing at all,
`Pick.is_blind` says so.

Shapes: B images.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, assert_never, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

Proxy = Literal["naswot", "synflow", "grad_norm", "snip"]
PROXIES: tuple[Proxy, ...] = get_args(Proxy)
RELUS = (F.relu, F.relu_, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_)
SIGMOIDS = (F.sigmoid, torch.sigmoid, Tensor.sigmoid)


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


class _Instead(TorchFunctionMode):
    """Within it, these functions of torch are replaced; a replacement may return None: as before.

    Args:
        functions: as torch calls them.
        replacement: gets their first argument.
    """

    def __init__(
        self, functions: Collection[Callable], replacement: Callable[[Tensor], Tensor | None]
    ) -> None:
        super().__init__()
        self.functions, self.replacement = functions, replacement

    def __torch_function__(
        self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        instead = self.replacement(args[0]) if func in self.functions else None
        return func(*args, **(kwargs or {})) if instead is None else instead


def naswot(network: nn.Module, x_BCHW: Tensor) -> float:
    """log |det K_H| of the Hamming kernel of the patterns of the inputs of every ReLU."""
    kernel_BB = torch.zeros(len(x_BCHW), len(x_BCHW), dtype=torch.float64)

    def receive(before: Tensor) -> None:
        on_BF = (before.detach().flatten(1) > 0).float()
        both_BB, on_B = (on_BF @ on_BF.T).double().cpu(), on_BF.sum(1).double().cpu()
        kernel_BB.add_(2 * both_BB - on_B - on_B[:, None] + on_BF.shape[1])  # on in both, or off

    with torch.no_grad(), _in_train_mode(network), _Instead(RELUS, receive):
        network(x_BCHW)
    return float(torch.linalg.slogdet(kernel_BB).logabsdet)


def synflow(network: nn.Module, x_BCHW: Tensor) -> float:
    """log of the sum of |weight * gradient| on an image of ones, weights absolute, norms off.

    Tanaka et al. (NeurIPS 2020); in double precision, the logarithm because it overflows. It is
    made for networks that are linear but for ReLUs, and the sigmoid of the large numbers here would
    be 1: its tangent at 0, where a fresh gate is, stands for it.
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
        with _Instead(SIGMOIDS, lambda x: 0.5 + 0.25 * x):
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
