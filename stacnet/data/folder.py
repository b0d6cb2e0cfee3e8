"""A folder of images, one subfolder per class, through torchvision's ImageFolder."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from stacnet.data.source import Part, Source

if TYPE_CHECKING:
    from torchvision.datasets import ImageFolder

TEST_NAMES = ("test", "val")


def is_image_folder(folder: Path) -> bool:
    """Whether there are training images by class."""
    return (folder / "train").is_dir()


def open_folder(folder: Path, *, size: int) -> Source:
    """`train/<class>/*` and `test/<class>/*` (or `val/`), as squares of side `size`, pixels.

    The largest centred square of an image is resized.

    Raises:
        ValueError: a split is missing or empty, or the splits have different classes.
    """
    test_name = next((name for name in TEST_NAMES if (folder / name).is_dir()), None)
    if test_name is None:
        raise ValueError(f"{folder}: a folder of images needs test/ or val/ beside train/")
    train, test = (_open(folder / name) for name in ("train", test_name))
    if train.classes != test.classes:
        different = sorted(set(train.classes) ^ set(test.classes))
        raise ValueError(f"{folder}: both splits must have the same classes, got {different[0]!r}")
    return Source(
        format="folder",
        size=size,
        class_names=tuple(train.classes),
        parts=[_part(train, split="train", size=size), _part(test, split="test", size=size)],
    )


def _open(folder: Path) -> "ImageFolder":
    from torchvision.datasets import ImageFolder  # 350 MB that official data does without

    try:
        return ImageFolder(str(folder))
    except FileNotFoundError as error:
        raise ValueError(f"{folder}: {str(error).splitlines()[0]}") from None


def _part(images: "ImageFolder", *, split: str, size: int) -> Part:
    folder = Path(images.root)

    def read(start: int, stop: int) -> np.ndarray:
        return np.stack([_decode(Path(path), size) for path, _ in images.samples[start:stop]])

    labels_N = np.array(images.targets, np.int64)
    return Part(name=folder.name, path=folder, split=split, labels_N=labels_N, read=read)


def _decode(path: Path, size: int) -> np.ndarray:
    try:
        with Image.open(path) as image:
            square = ImageOps.fit(image.convert("RGB"), (size, size), Image.Resampling.BICUBIC)
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(f"{path}: not a readable image: {error}") from None
    return np.asarray(square).transpose(2, 0, 1)
