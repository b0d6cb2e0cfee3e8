"""Which images the map is made from: a stratified, seeded part of the validation split."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from analysis.classrepsim import ProbeSet
from stacnet.data.augment import Scaling
from stacnet.data.images import Splits


def probe_set(
    splits: Splits,
    *,
    images: int = 1000,
    batch_size: int = 128,
    seed: int = 0,
    device: torch.device,
) -> ProbeSet:
    """Validation images, half gallery and half queries in every class.

    Args:
        images: how many at most; they are shared evenly among the classes.
        batch_size: images per forward pass.
        seed: of the choice.

    Raises:
        ValueError: fewer than two images of a class.
    """
    labels_N = splits.val.labels_N
    rng = np.random.default_rng(seed)
    gallery, queries = [], []
    for label in range(splits.classes):
        at = rng.permutation(np.flatnonzero(labels_N == label))[: -(-images // splits.classes)]
        if len(at) < 2:
            raise ValueError(
                f"a class must have at least 2 validation images, got {len(at)} of class {label}"
            )
        gallery.append(at[: len(at) // 2])
        queries.append(at[len(at) // 2 :])
    order_N = np.concatenate([rng.permutation(np.concatenate(part)) for part in (gallery, queries)])
    scaling = Scaling(splits.mean_C, splits.std_C, device=device)

    def batches() -> Iterator[Tensor]:
        for start in range(0, len(order_N), batch_size):
            x_BCHW = splits.val.take(order_N[start : start + batch_size])
            yield scaling.normalise(torch.from_numpy(x_BCHW).to(device))

    return ProbeSet(
        batches=batches,
        labels_N=labels_N[order_N],
        num_gallery=sum(len(part) for part in gallery),
        classes=splits.classes,
    )
