"""Which images the map is made from: a stratified, seeded part of the validation split."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from analysis.look.classrepsim import ProbeSet
from stacnet.data.augment import Scaling
from stacnet.data.images import Splits

LEAST = 2  # validation images of a class that takes part: one in the gallery, one query
ENOUGH = 4  # of each class at any number of classes: with two queries its error can be told


class Choice(NamedTuple):
    """Which images take part.

    Args:
        order_N: their positions, the gallery first.
        labels_N: their classes, numbered anew from 0.
        num_gallery: how many of them are the gallery.
        classes: how many take part.
    """

    order_N: NDArray[np.int64]
    labels_N: NDArray[np.int64]
    num_gallery: int
    classes: int


def choose(labels_N: NDArray[np.int64], *, images: int, classes: int, seed: int = 0) -> Choice:
    """Half gallery and half queries in every class, drawn with a seed.

    A class with fewer than 2 images is left out; the others are numbered anew, so that chance,
    means and matrices are those of the classes that take part.

    Args:
        images: how many are wanted; they are shared evenly among the classes, and each class has
            at least 4 where it has them.
        classes: that the data has.

    Raises:
        ValueError: fewer than two classes can take part, or no images are wanted.
    """
    if images < 1:
        raise ValueError(f"probe images must be at least 1, got {images=}")
    counts_K = np.bincount(labels_N, minlength=classes)
    present = np.flatnonzero(counts_K >= LEAST)
    if len(present) < 2:
        raise ValueError(
            f"at least 2 classes must have {LEAST} images, got {len(present)} of {classes}"
        )
    each = max(ENOUGH, -(-images // len(present)))
    rng = np.random.default_rng(seed)
    gallery, queries = [], []
    for label in present:
        at = rng.permutation(np.flatnonzero(labels_N == label))[:each]
        gallery.append(at[: len(at) // 2])
        queries.append(at[len(at) // 2 :])
    order_N = np.concatenate([rng.permutation(np.concatenate(part)) for part in (gallery, queries)])
    return Choice(
        order_N=order_N,
        labels_N=np.searchsorted(present, labels_N[order_N]),
        num_gallery=sum(len(part) for part in gallery),
        classes=len(present),
    )


def probe_set(
    splits: Splits,
    *,
    images: int = 1000,
    batch_size: int = 128,
    seed: int = 0,
    device: torch.device,
) -> ProbeSet:
    """Images of the validation split, as `choose` takes them, normalised.

    Args:
        images: how many are wanted.
        batch_size: images per forward pass.
        seed: of the choice.

    Raises:
        ValueError: fewer than two classes can take part, or no images are wanted.
    """
    chosen = choose(splits.val.labels_N, images=images, classes=splits.classes, seed=seed)
    scaling = Scaling(splits.mean_C, splits.std_C, device=device)

    def batches() -> Iterator[Tensor]:
        for start in range(0, len(chosen.order_N), batch_size):
            x_BCHW = splits.val.take(chosen.order_N[start : start + batch_size])
            yield scaling.normalise(torch.from_numpy(x_BCHW).to(device))

    return ProbeSet(
        batches=batches,
        labels_N=chosen.labels_N,
        num_gallery=chosen.num_gallery,
        classes=chosen.classes,
        left_out=splits.classes - chosen.classes,
    )
