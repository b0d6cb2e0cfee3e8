"""How long a forward pass takes on the present device."""

from dataclasses import dataclass

import torch
from torch.utils.benchmark import Timer

from stacnet.network import build
from stacnet.spec import NetworkSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class Latency:
    """Measured forward passes.

    Args:
        image_s: median over the passes of seconds per image.
        spread_s: interquartile range of the same.
        batch_size: images per pass.
        num_passes: passes timed.
        device: what ran them.
        num_threads: of the CPU.
    """

    image_s: float
    spread_s: float
    batch_size: int
    num_passes: int
    device: str
    num_threads: int


def latency(
    spec: NetworkSpec,
    *,
    batch_size: int = 1,
    device: torch.device | str = "cpu",
    min_time_s: float = 1.0,
) -> Latency:
    """Time the forward pass of a network in eval mode, fp32 and channels_last.

    Args:
        spec: the network; weights do not matter.
        batch_size: images per pass.
        device: where.
        min_time_s: time passes for at least so long, after a warm-up.
    """
    shape = (batch_size, spec.in_channels, spec.input_size, spec.input_size)
    network = build(spec).eval().to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    x_BCHW = torch.zeros(shape, device=device).to(memory_format=torch.channels_last)
    num_threads = torch.get_num_threads()
    timer = Timer("network(x)", globals={"network": network, "x": x_BCHW}, num_threads=num_threads)
    with torch.inference_mode():
        timer.timeit(3)  # warm-up: allocator, choice of algorithms
        measured = timer.blocked_autorange(min_run_time=min_time_s)
    return Latency(
        image_s=measured.median / batch_size,
        spread_s=measured.iqr / batch_size,
        batch_size=batch_size,
        num_passes=len(measured.times) * measured.number_per_run,
        device=_device_name(torch.device(device)),
        num_threads=num_threads,
    )


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
