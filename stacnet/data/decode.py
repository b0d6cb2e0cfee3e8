"""One image file as an RGB square: sixteen bits, transparency and orientation of every PIL mode."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

WHITE_16 = 65535
BACKGROUND = (255, 255, 255, 255)  # what shows through transparent pixels


def decode(path: str | Path, *, size: int) -> np.ndarray:
    """The largest centred square of the image, resized: uint8 (3, size, size).

    It is turned as its EXIF orientation says; transparent pixels are laid on white; 16-bit greys
    are scaled, not clipped.

    Raises:
        ValueError: file and reason; a floating-point image is refused, as it has no defined white.
    """
    try:
        with Image.open(path) as image:
            upright = _rgb(ImageOps.exif_transpose(image))
            square = ImageOps.fit(upright, (size, size), Image.Resampling.BICUBIC)
    except Exception as error:  # whatever a damaged or hostile file does to the one who reads it
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path}: not a readable image: {reason}") from None
    return np.asarray(square).transpose(2, 0, 1)


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "I" or image.mode.startswith("I;16"):
        return _from_16_bits(np.asarray(image).astype(np.int64))
    if image.mode == "F":
        raise ValueError("a floating-point image has no defined white; save it with 8 or 16 bits")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, BACKGROUND), rgba)
    return image.convert("RGB")


def _from_16_bits(grey_HW: np.ndarray) -> Image.Image:
    if grey_HW.min() < 0 or grey_HW.max() > WHITE_16:
        raise ValueError(f"greys must be in 0..{WHITE_16}, got {grey_HW.min()}..{grey_HW.max()}")
    scaled_HW = (grey_HW * 255 + WHITE_16 // 2) // WHITE_16
    return Image.fromarray(scaled_HW.astype(np.uint8)).convert("RGB")
