"""Batches of uint8 images on the device that trains, without worker processes.

The pool lies on the device when it fits; else the next batch is gathered into pinned memory by one
thread while the present one is used. On a CPU the pool is read in place, memory maps too.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from stacnet.data.images import CHUNK, ImageSet

DEVICE_SHARE = 0.4  # of the free device memory that data may take


class Feed:
    """Batches of one split.

    Args:
        images: the split.
        device: where batches are wanted.
    """

    def __init__(self, images: ImageSet, *, device: torch.device) -> None:
        self.device = device
        self._labels_N = torch.from_numpy(images.labels_N).to(device)
        self.images = images
        self._pool_PCHW: Tensor | None = None
        self._rows_N = torch.from_numpy(images.rows_N)
        if device.type == "cpu":
            self._pool_PCHW = torch.from_numpy(images.pool_PCHW)
        elif _fits(images, device):
            self._pool_PCHW = _resident(images, device)
            self._rows_N = torch.arange(len(images), device=device)

    def batches(self, order_N: np.ndarray, *, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Images uint8 (B, C, H, W) and labels int64 (B,) in this order; the last may be short."""
        if not len(order_N):
            return
        if self._pool_PCHW is None:
            starts = range(0, len(order_N), size)
            yield from self._prefetched([order_N[start : start + size] for start in starts])
            return
        for index_B in torch.from_numpy(order_N).to(self.device).split(size):
            yield self._pool_PCHW.index_select(0, self._rows_N[index_B]), self._labels_N[index_B]

    def _prefetched(self, chunks: list[np.ndarray]) -> Iterator[tuple[Tensor, Tensor]]:
        with ThreadPoolExecutor(max_workers=1) as thread:
            coming = thread.submit(self._pinned, chunks[0])
            for position, chunk in enumerate(chunks):
                pinned_BCHW = coming.result()
                if position + 1 < len(chunks):
                    coming = thread.submit(self._pinned, chunks[position + 1])
                index_B = torch.from_numpy(chunk).to(self.device)
                yield pinned_BCHW.to(self.device, non_blocking=True), self._labels_N[index_B]

    def _pinned(self, chunk: np.ndarray) -> Tensor:
        return torch.from_numpy(self.images.take(chunk)).pin_memory()


def _fits(images: ImageSet, device: torch.device) -> bool:
    free, _ = torch.cuda.mem_get_info(device)
    return len(images) * int(np.prod(images.shape)) <= DEVICE_SHARE * free


def _resident(images: ImageSet, device: torch.device) -> Tensor:
    pool_NCHW = torch.empty((len(images), *images.shape), dtype=torch.uint8, device=device)
    for start in range(0, len(images), CHUNK):
        part = images.take(slice(start, start + CHUNK))
        pool_NCHW[start : start + len(part)] = torch.from_numpy(part).to(device)
    return pool_NCHW
