"""What a gate adds to a training step, split: pooling and convolutions, and the multiplication.

Run: python benchmarks/gates.py [--depth 18] [--batch 32] [--rounds 9] [--scale 2] [--keep]

Steps of the variants take turns, so that a busy moment of the machine hits all; medians of the
rounds. `written out` upsamples the gate to the map and multiplies, as the formula says;
`none` leaves the multiplication away (and is no network of ours). On a GPU in bf16.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor

from stacnet.attention_spec import AttentionSpec
from stacnet.cost import price
from stacnet.learner import keep_freed_memory
from stacnet.network import build
from stacnet.spec import NetworkSpec, resnet

Step = Callable[[], None]
Variant = tuple[Step, Callable[..., Tensor] | None]  # and another multiplication than ours, if any


def written_out(x_BCHW: Tensor, gate_BCss: Tensor, *, upsample: str) -> Tensor:
    """The gate at the size of the map, then the product."""
    return x_BCHW * F.interpolate(gate_BCss, size=x_BCHW.shape[-2:], mode=upsample)


def none(x_BCHW: Tensor, gate_BCss: Tensor, *, upsample: str) -> Tensor:
    """The map; the gate still gets its gradient."""
    return x_BCHW + 0 * gate_BCss.mean()


@contextmanager
def multiplying(how: Callable[..., Tensor] | None) -> Iterator[None]:
    """With another multiplication than ours, or with ours."""
    if how is None:
        yield
        return
    with mock.patch("stacnet.attention.multiply", how):
        yield


def make_step(spec: NetworkSpec, batch: int, device: torch.device) -> Step:
    """Forward, backward and update on one batch that stays where it is."""
    network = build(spec, seed=0).to(device).train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    x_BCHW = torch.randn(batch, 3, spec.input_size, spec.input_size, device=device)
    x_BCHW = x_BCHW.to(memory_format=torch.channels_last)
    y_B = torch.zeros(batch, dtype=torch.long, device=device)

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            loss = F.cross_entropy(network(x_BCHW), y_B)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize()

    return step


def medians(variants: dict[str, Variant], rounds: int) -> dict[str, float]:
    """Median seconds of a step of each variant, the variants in turn."""
    taken: dict[str, list[float]] = {name: [] for name in variants}
    for number in range(rounds + 2):
        for name, (step, how) in variants.items():
            with multiplying(how):
                began = time.perf_counter()
                step()
            if number >= 2:
                taken[name].append(time.perf_counter() - began)
    return {name: statistics.median(times) for name, times in taken.items()}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--depth", type=int, default=18)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--scale", type=int, default=2)
    parser.add_argument("--keep", action="store_true", help="freed memory, as training does")
    arguments = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    gate = AttentionSpec(scale=arguments.scale, kernel=3, reduction=16)
    if arguments.keep:
        keep_freed_memory()
    vanilla = resnet(arguments.depth)
    stac = resnet(arguments.depth, attention=gate)
    name = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    macs = price(stac).macs / price(vanilla).macs - 1
    print(
        f"{name}, {torch.get_num_threads()} threads, ResNet-{arguments.depth}, 64x64, batch "
        f"{arguments.batch}, STAC s={arguments.scale} in every block: {macs:+.2%} MACs; "
        f"freed memory is {'kept' if arguments.keep else 'given back'}"
    )
    print("| step | ms | over vanilla |")
    print("|---|---:|---:|")
    variants: dict[str, Variant] = {"vanilla": (make_step(vanilla, arguments.batch, device), None)}
    for title, how in (("none", none), ("written out", written_out), ("ours", None)):
        step = make_step(stac, arguments.batch, device)
        variants[f"STAC, multiplication: {title}"] = (step, how)
    for title, seconds in (found := medians(variants, arguments.rounds)).items():
        over = seconds / found["vanilla"] - 1
        print(f"| {title} | {1000 * seconds:.1f} | {over:+.1%} |", flush=True)


if __name__ == "__main__":
    main()
