"""`stac data inspect`: how many images of each class, their statistics, and a sheet of examples."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision.utils import make_grid

from stacnet.data.images import ImageSet, Splits


@dataclass(frozen=True)
class Summary:
    """What is in a data set.

    Args:
        counts: images per split.
        classes: number of classes.
        per_class: images of each class, per split.
        shape: channels, height, width.
        mean, std: of the training pixels per channel, 0..255 scale.
    """

    counts: dict[str, int]
    classes: int
    per_class: dict[str, list[int]]
    shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def balance(self) -> dict[str, float]:
        """Smallest class over largest class, per split: 1 is balanced, 0 means one is empty."""
        return {split: min(num) / max(num) for split, num in self.per_class.items()}


def summarise(splits: Splits) -> Summary:
    """Count and describe."""
    sets = {"train": splits.train, "val": splits.val, "test": splits.test}
    return Summary(
        counts={name: len(images) for name, images in sets.items()},
        classes=splits.classes,
        per_class={
            name: np.bincount(images.labels_N, minlength=splits.classes).tolist()
            for name, images in sets.items()
        },
        shape=splits.train.shape,
        mean=splits.mean_C,
        std=splits.std_C,
    )


def contact_sheet(images: ImageSet, path: Path, *, classes: int = 10, each: int = 10) -> None:
    """Write a PNG with one row per class: `each` images of the first `classes` classes."""
    labels_K = np.unique(images.labels_N)[:classes]
    rows = [np.flatnonzero(images.labels_N == label)[:each] for label in labels_K]
    blank = np.full((each, *images.shape), 255, np.uint8)
    padded = [np.concatenate([images.take(row), blank])[:each] for row in rows]
    sheet_CHW = make_grid(torch.from_numpy(np.concatenate(padded)), nrow=each, pad_value=255)
    Image.fromarray(sheet_CHW.permute(1, 2, 0).numpy()).save(path)
