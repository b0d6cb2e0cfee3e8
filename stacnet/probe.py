"""Look into any network: pooled responses of named modules, pooled inside forward hooks.

Shapes: N images, C channels, H x W pixels, s x s cells, K = s*s cells in row-major order.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from torch import Tensor, nn

from stacnet.attention import condense

Receive = Callable[[str, int | None, Tensor], None]


@contextmanager
def probing(
    model: nn.Module, taps: Sequence[str], *, scales: Sequence[int | None], receive: Receive
) -> Iterator[None]:
    """While inside, every forward pass of `model` calls `receive` once per tap and scale.

    Args:
        model: any module; not changed, and left without hooks.
        taps: names of submodules (`stacnet.resnet.taps` for ours) with output (N, C, H, W).
        scales: cells per side of the average-pooled map; None, or more than the map has, is the
            native map.
        receive: gets (tap, scale, responses), responses (N, C, K) float32 on the model's device
            with K = min(s, H) * min(s, W). It runs inside the forward pass, which goes on to
            overwrite native maps: reduce or copy what must outlive the call.

    Raises:
        ValueError: no module has that name; an output is not (N, C, H, W).
    """
    modules = dict(model.named_modules())
    for tap in taps:
        if tap not in modules:
            known = ", ".join(name for name in modules if name)
            raise ValueError(f"tap must name a module of the network ({known}), got {tap!r}")
    with ExitStack() as hooks:
        for tap in taps:
            hook = _hook(tap, scales, receive)
            hooks.callback(modules[tap].register_forward_hook(hook).remove)
        yield


def _hook(
    tap: str, scales: Sequence[int | None], receive: Receive
) -> Callable[[nn.Module, object, object], None]:
    def pool_output(module: nn.Module, inputs: object, output: object) -> None:
        if not isinstance(output, Tensor) or output.ndim != 4:
            got = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise ValueError(f"output of tap {tap!r} must have shape (N, C, H, W), got {got}")
        for scale in scales:
            pooled_NCss = condense(output.detach(), scale, pool="avg")
            receive(tap, scale, pooled_NCss.flatten(2).float())

    return pool_output
