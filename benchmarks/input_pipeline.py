"""Images per second of the input pipeline against torchvision's datasets, transforms and loader.

Same images, same augmentation (4-pixel reflected crop, flip, normalise), same cores, one run; ours
is given a single thread, however many workers the loader has:
`python benchmarks/input_pipeline.py [--images 20000] [--size 64] [--workers 0 2]`.
With CUDA our batches are made on the GPU, and the loader's are copied there.
"""

import argparse
import time
from collections.abc import Iterator

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision.datasets import VisionDataset
from torchvision.transforms import v2

from stacnet.data.augment import Scaling, augment
from stacnet.data.feed import Feed
from stacnet.data.images import whole
from stacnet.data_spec import ScaleSignal
from stacnet.protocol import Protocol

BATCH = 128
MEAN, STD = (122.0, 116.0, 103.0), (69.0, 66.0, 71.0)
RECIPE = Protocol(data=ScaleSignal(), flip=True, crop_padding=4)


class InMemory(VisionDataset):
    """Arrays served as torchvision's CIFAR10 serves them: a PIL image per item."""

    def __init__(self, images_NHWC: np.ndarray, labels_N: np.ndarray, transform: v2.Compose):
        super().__init__(root="", transform=transform)
        self.data, self.targets = images_NHWC, labels_N.tolist()

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        assert self.transform is not None
        return self.transform(Image.fromarray(self.data[index])), self.targets[index]


def transforms(size: int) -> v2.Compose:
    """As torchvision's documentation recommends: tensors early, uint8 as long as possible."""
    return v2.Compose(
        [
            v2.ToImage(),
            v2.RandomCrop(size, padding=4, padding_mode="reflect"),
            v2.RandomHorizontalFlip(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize([m / 255 for m in MEAN], [s / 255 for s in STD]),
        ]
    )


def theirs(dataset: InMemory, *, workers: int, device: torch.device) -> Iterator[Tensor]:
    """Batches of one epoch, on the device."""
    loader = DataLoader(
        dataset,
        batch_size=BATCH,
        shuffle=True,
        num_workers=workers,
        drop_last=True,
        pin_memory=device.type == "cuda",
    )
    for x_BCHW, _ in loader:
        yield x_BCHW.to(device, non_blocking=True)


def ours(feed: Feed, scaling: Scaling, *, seed: int) -> Iterator[Tensor]:
    """Batches of one epoch, on the device."""
    rng = np.random.default_rng(seed)
    order_N = rng.permutation(len(feed.images))
    for x_BCHW, y_B in feed.batches(order_N, size=BATCH):
        yield augment(x_BCHW, y_B, protocol=RECIPE, scaling=scaling, rng=rng).x_BCHW


def rate(batches: Iterator[Tensor], *, device: torch.device) -> float:
    """Images per second after the first batch, which starts workers and fills caches."""
    num, last = 0, next(batches)
    start = time.perf_counter()
    for x_BCHW in batches:
        num, last = num + len(x_BCHW), x_BCHW
    if device.type == "cuda":
        last.sum().item()  # waits for the device
    return num / (time.perf_counter() - start)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2])
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # the loader gets its workers beside it; ours needs no more
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    rng = np.random.default_rng(0)
    shape = (arguments.images, 3, arguments.size, arguments.size)
    images_NCHW = rng.integers(0, 256, shape, dtype=np.uint8)
    labels_N = rng.integers(0, 1000, arguments.images)
    dataset = InMemory(
        np.ascontiguousarray(images_NCHW.transpose(0, 2, 3, 1)),
        labels_N,
        transforms(arguments.size),
    )
    feed = Feed(whole(images_NCHW, labels_N), device=device)
    scaling = Scaling(MEAN, STD, device=device)
    print(
        f"{arguments.images} images of {arguments.size}x{arguments.size}, batch {BATCH}, {device}"
    )
    print("| cores | torchvision + DataLoader, images/s | ours, images/s | ratio |")
    print("|---|---|---|---|")
    for workers in arguments.workers:
        reference, mine = 0.0, 0.0
        for seed in range(2):  # the better of two, alternating
            loader = theirs(dataset, workers=workers, device=device)
            reference = max(reference, rate(loader, device=device))
            mine = max(mine, rate(ours(feed, scaling, seed=seed), device=device))
        cores = f"{workers} workers" if workers else "none but the trainer's"
        print(f"| {cores} | {reference:,.0f} | {mine:,.0f} | {mine / reference:.1f}x |", flush=True)


if __name__ == "__main__":
    main()
