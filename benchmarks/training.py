"""Training images per second against a plain loop in the style of torchvision's references.

Same network, images, augmentation, batch, precision and cores, one run:
`python benchmarks/training.py [--batch 32] [--steps 6] [--workers 2]`.
On a GPU (named in the output) both run in bf16, and the share of the peak is shown.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

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
from stacnet.protocol import Protocol
from stacnet.resnet import build
from stacnet.spec import NetworkSpec, resnet

SIZE, CLASSES, WARM_UP = 64, 1000, 2
RECIPE = Protocol(data=ScaleSignal(), flip=True, crop_padding=4, precision="bf16")
PEAK_FLOPS = {"H200": 989e12, "H100": 989e12, "A100": 312e12}  # dense bf16, from data sheets
NETWORKS = {
    "ResNet-18": resnet(18),
    "ResNet-50": resnet(50),
    "ResNet-50 STAC-L": resnet(50, attention=AttentionSpec(scale=2, kernel=3, reduction=16)),
}
Step = Callable[[Tensor, Tensor], None]


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


def our_step(spec: NetworkSpec, device: torch.device) -> Step:
    """As `Trainer` does it, from uint8 images on the device."""
    is_gpu = device.type == "cuda"
    protocol = RECIPE if is_gpu else replace(RECIPE, precision="fp32")
    learner = Learner(spec, protocol, seed=0, device=device, compiled=is_gpu)
    learner.model.train()
    scaling = Scaling(MEAN, STD, device=device)
    rng = np.random.default_rng(0)

    def step(x_BCHW: Tensor, y_B: Tensor) -> None:
        batch = augment(x_BCHW, y_B, protocol=protocol, scaling=scaling, rng=rng)
        learner.learn(batch, rate=0.01)

    return step


def rate(step: Step, batches: Iterator[tuple[Tensor, Tensor]], device: torch.device) -> float:
    """Images per second after the first batches, which compile and fill caches."""
    for _ in range(WARM_UP):
        step(*next(batches))
    _wait(device)
    num, start = 0, time.perf_counter()
    for x_BCHW, y_B in batches:
        step(x_BCHW, y_B)
        num += len(y_B)
    _wait(device)
    return num / (time.perf_counter() - start)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_share(spec: NetworkSpec, images_per_s: float, device: torch.device) -> str:
    """Share of the GPU's dense bf16 peak: a step is three forward passes of 2 FLOPs per MAC."""
    if device.type != "cuda":
        return "-"
    name = torch.cuda.get_device_name(device)
    peak = next((flops for key, flops in PEAK_FLOPS.items() if key in name), None)
    return "unknown GPU" if peak is None else f"{6 * cost(spec).macs * images_per_s / peak:.0%}"


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_num_threads(max(1, arguments.workers))
    num = arguments.batch * (arguments.steps + WARM_UP)
    rng = np.random.default_rng(0)
    images_NCHW = rng.integers(0, 256, (num, 3, SIZE, SIZE), dtype=np.uint8)
    labels_N = rng.integers(0, CLASSES, num)
    dataset = InMemory(images_NCHW.transpose(0, 2, 3, 1).copy(), labels_N, transforms(SIZE))
    feed = Feed(whole(images_NCHW, labels_N), device=device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    print(f"{name}, {torch.get_num_threads()} threads, batch {arguments.batch}, {SIZE}x{SIZE}")
    print("| network | reference loop, images/s | ours, images/s | ratio | share of peak |")
    print("|---|---:|---:|---:|---:|")
    for title, spec in NETWORKS.items():
        loader = DataLoader(dataset, arguments.batch, shuffle=True, num_workers=arguments.workers)
        theirs = rate(reference_step(spec, device), iter(loader), device)
        batches = feed.batches(rng.permutation(num), size=arguments.batch)
        mine = rate(our_step(spec, device), batches, device)
        share = peak_share(spec, mine, device)
        print(
            f"| {title} | {theirs:,.1f} | {mine:,.1f} | {mine / theirs:.2f}x | {share} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
