"""Loss and right answers of a network on a split, batch by batch: it can be interrupted."""

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stacnet.data.augment import Scaling
from stacnet.data.feed import Feed

PIXELS_PER_BATCH = {"cpu": 2**17, "cuda": 2**23}  # fits caches; fills the device


def batch_answers(
    network: nn.Module, feed: Feed, *, scaling: Scaling, precision: torch.autocast, done: int = 0
) -> Iterator[tuple[Tensor, Tensor]]:
    """Per batch the sum of cross-entropies (nats), float64 (), and which answers are right, (B,).

    The first `done` batches are left out.
    """
    height, width = feed.images.shape[1:]
    size = max(1, PIXELS_PER_BATCH[feed.device.type] // (height * width))
    for x_BCHW, y_B in feed.batches(np.arange(done * size, len(feed.images)), size=size):
        network.eval()  # here, since training may go on between two batches
        with torch.inference_mode(), precision:
            logits_BK = network(scaling.normalise(x_BCHW))
        loss = F.cross_entropy(logits_BK.float(), y_B, reduction="sum")
        yield loss.double(), logits_BK.argmax(1) == y_B


def sums_of(answers: Iterator[tuple[Tensor, Tensor]]) -> Iterator[Tensor]:
    """Per batch the sum of cross-entropies (nats) and the number of right answers: float64 (2,)."""
    for loss, correct_B in answers:
        yield torch.stack([loss, correct_B.sum().double()])


def mean_of(sums: list[Tensor], *, num: int) -> tuple[float, float]:
    """Mean cross-entropy (nats) and accuracy (share) of `num` images from their batches' sums."""
    loss, correct = (torch.stack(sums).sum(0) / num).tolist()
    return loss, correct
