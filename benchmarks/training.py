"""Training images per second against a plain loop in the style of torchvision's references.

Same network, images, augmentation, batch, precision and cores, in turns, several rounds:
`python benchmarks/training.py [--batch 32] [--steps 6] [--rounds 5] [--workers 2] [--only NAME]`.
Printed: medians, the ratio of each round's pair (median, least and most), and the share of the
device's peak: a GPU's dense bf16 from its data sheet, a processor's fp32 from a large product of
matrices timed here. On a GPU both run in bf16, and a second reference has its images there.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from input_pipeline import MEAN, STD, InMemory, transforms
from torch import Tensor
from torch.utils.data import DataLoader

from stacnet.attention_spec import AttentionSpec
from stacnet.cost import cost
from stacnet.data.augment import Scaling, augment
from stacnet.data.feed import Feed
from stacnet.data.images import whole
from stacnet.data_spec import ScaleSignal
from stacnet.learner import Learner
from stacnet.network import build
from stacnet.protocol import Protocol
from stacnet.spec import NetworkSpec, resnet

CLASSES, WARM_UP = 100, 5
RECIPE = Protocol(data=ScaleSignal(), flip=True, crop_padding=4, precision="bf16")
PEAK_FLOPS = {"H200": 989e12, "H100": 989e12, "A100": 312e12}  # dense bf16, from data sheets
STAC = AttentionSpec(scale=2, kernel=3, reduction=16)
SMALL: dict[str, Any] = {"width": 16, "input_size": 32, "classes": CLASSES}
NETWORKS = {
    "ResNet-8, width 16, 32 px": resnet(8, **SMALL),
    "ResNet-8 with STAC": resnet(8, attention=replace(STAC, reduction=4), **SMALL),
    "ResNet-20, width 16, 32 px": resnet(20, **SMALL),
    "ResNet-18, 64 px": resnet(18, classes=CLASSES),
    "ResNet-50, 64 px": resnet(50, classes=CLASSES),
    "ResNet-50 with STAC": resnet(50, attention=STAC, classes=CLASSES),
}
Step = Callable[[Tensor, Tensor], None]
Batches = Iterator[tuple[Tensor, Tensor]]


@dataclass
class Loop:
    """One way of training: its step, and the batches of a round."""

    step: Step
    batches: Callable[[], Batches]


def reference_step(spec: NetworkSpec, device: torch.device) -> Step:
    """As train_one_epoch of torchvision's references/classification: metrics read every step."""
    network = build(spec, seed=0).to(device).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, nesterov=True)
    metrics: list[tuple[float, float]] = []

    def step(x_BCHW: Tensor, y_B: Tensor) -> None:
        x_BCHW, y_B = x_BCHW.to(device, non_blocking=True), y_B.to(device, non_blocking=True)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            logits_BK = network(x_BCHW)
            loss = F.cross_entropy(logits_BK, y_B)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        metrics.append((loss.item(), (logits_BK.argmax(1) == y_B).float().mean().item()))

    return step


def our_step(spec: NetworkSpec, device: torch.device, *, compiled: bool) -> Step:
    """As `Trainer` does it, from uint8 images on the device."""
    protocol = RECIPE if device.type == "cuda" else replace(RECIPE, precision="fp32")
    learner = Learner(spec, protocol, seed=0, device=device, compiled=compiled)
    learner.model.train()
    scaling = Scaling(MEAN, STD, device=device)
    rng = np.random.default_rng(0)

    def step(x_BCHW: Tensor, y_B: Tensor) -> None:
        batch = augment(x_BCHW, y_B, protocol=protocol, scaling=scaling, rng=rng)
        learner.learn(batch, rate=0.01)

    return step


def loops(spec: NetworkSpec, device: torch.device, *, batch: int, steps: int, workers: int):
    """The ways of training that are compared, the reference first."""
    num, rng = batch * (steps + WARM_UP), np.random.default_rng(0)
    shape = (num, 3, spec.input_size, spec.input_size)
    images_NCHW = rng.integers(0, 256, shape, dtype=np.uint8)
    labels_N = rng.integers(0, CLASSES, num)
    dataset = InMemory(
        images_NCHW.transpose(0, 2, 3, 1).copy(), labels_N, transforms(spec.input_size)
    )
    loader = DataLoader(
        dataset,
        batch,
        shuffle=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=device.type == "cuda",
    )
    feed = Feed(whole(images_NCHW, labels_N), device=device)

    def ours() -> Batches:
        return feed.batches(rng.permutation(num), size=batch)

    found = {"reference": Loop(reference_step(spec, device), lambda: iter(loader))}
    if device.type == "cuda":
        x_BCHW = torch.randn(batch, *shape[1:], device=device)
        y_B = torch.from_numpy(labels_N[:batch]).to(device)
        there = [(x_BCHW, y_B)] * (steps + WARM_UP)
        found["reference, images there"] = Loop(reference_step(spec, device), lambda: iter(there))
        found["ours"] = Loop(our_step(spec, device, compiled=False), ours)
        found["ours, compiled"] = Loop(our_step(spec, device, compiled=True), ours)
    else:
        found["ours"] = Loop(our_step(spec, device, compiled=False), ours)
    return found


def rate(loop: Loop, device: torch.device) -> float:
    """Images per second after the first batches of a round."""
    batches = loop.batches()
    for _ in range(WARM_UP):
        loop.step(*next(batches))
    _wait(device)
    num, start = 0, time.perf_counter()
    for x_BCHW, y_B in batches:
        loop.step(x_BCHW, y_B)
        num += len(y_B)
    _wait(device)
    return num / (time.perf_counter() - start)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_flops(device: torch.device) -> float | None:
    """Floating-point operations per second that the device can do at most; None if not known."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        return next((flops for key, flops in PEAK_FLOPS.items() if key in name), None)
    x_MM = torch.randn(2048, 2048)
    seconds = []
    for _ in range(10):
        start = time.perf_counter()
        torch.mm(x_MM, x_MM)
        seconds.append(time.perf_counter() - start)
    return 2 * 2048**3 / min(seconds)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", default="", help="networks whose name has this in it")
    parser.add_argument("--uncompiled", action="store_true", help="compiling takes a minute each")
    chosen = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu":
        torch.set_num_threads(max(1, chosen.workers))
    peak = peak_flops(device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    print(
        f"{name}, torch {torch.__version__}, {torch.get_num_threads()} threads, batch "
        f"{chosen.batch}, {chosen.steps} steps a round, {chosen.rounds} rounds"
    )
    print("| network | way | images/s | by the reference (least, most) | share of peak |")
    print("|---|---|---:|---:|---:|")
    for title, spec in NETWORKS.items():
        if chosen.only in title:
            table(title, spec, chosen, device=device, peak=peak)


def table(
    title: str,
    spec: NetworkSpec,
    chosen: argparse.Namespace,
    *,
    device: torch.device,
    peak: float | None,
) -> None:
    """One network's lines. A step is three forward passes of 2 operations per MAC."""
    sizes = {"batch": chosen.batch, "steps": chosen.steps, "workers": chosen.workers}
    ways = loops(spec, device, **sizes)
    if chosen.uncompiled:
        ways.pop("ours, compiled", None)
    rates: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(chosen.rounds):
        for way, loop in ways.items():
            rates[way].append(rate(loop, device))
    for way, found in rates.items():
        ratios = [ours / theirs for ours, theirs in zip(found, rates["reference"], strict=True)]
        share = f"{6 * cost(spec).macs * median(found) / peak:.1%}" if peak else "-"
        print(
            f"| {title} | {way} | {median(found):,.1f} | {median(ratios):.2f}x "
            f"({min(ratios):.2f}, {max(ratios):.2f}) | {share} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
