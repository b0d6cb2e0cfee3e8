"""Which images the map is made from: a stratified, seeded part of the validation split."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from analysis.look.classrepsim import ProbeSet
from stacnet.data.augment import Scaling
from stacnet.data.images import Splits

LEAST = 2  # validation images of a class that takes part: one in the gallery, one query
ENOUGH = 4  # of each class at any number of classes: with two queries its error can be told


def probe_set(
    splits: Splits,
    *,
    images: int = 1000,
    batch_size: int = 128,
    seed: int = 0,
    device: torch.device,
) -> ProbeSet:
    """Validation images, half gallery and half queries in every class.

    A class with fewer than 2 validation images is left out; the others are numbered anew, so that
    chance, means and matrices are those of the classes that take part.

    Args:
        images: how many are wanted; they are shared evenly among the classes, and each class has
            at least 4 where it has them.
        batch_size: images per forward pass.
        seed: of the choice.

    Raises:
        ValueError: fewer than two classes can take part, or no images are wanted.
    """
    if images < 1:
        raise ValueError(f"probe images must be at least 1, got {images=}")
    counts_K = np.bincount(splits.val.labels_N, minlength=splits.classes)
    classes = np.flatnonzero(counts_K >= LEAST)
    if len(classes) < 2:
        raise ValueError(
            f"at least 2 classes must have {LEAST} validation images, got {len(classes)} of "
            f"{splits.classes}"
        )
    each = max(ENOUGH, -(-images // len(classes)))
    rng = np.random.default_rng(seed)
    gallery, queries = [], []
    for label in classes:
        at = rng.permutation(np.flatnonzero(splits.val.labels_N == label))[:each]
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
        labels_N=np.searchsorted(classes, splits.val.labels_N[order_N]),
        num_gallery=sum(len(part) for part in gallery),
        classes=len(classes),
        left_out=splits.classes - len(classes),
    )
