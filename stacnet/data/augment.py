"""Batch augmentation as tensor operations on the device that trains.

Each function takes the random generator it draws from. The few numbers per image are drawn on the
host, so that every kind of device sees the same augmentation.
Shapes: B images, C channels, H and W pixels.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from stacnet.protocol import Protocol


@dataclass(frozen=True, eq=False)
class Batch:
    """What one step learns from.

    Args:
        x_BCHW: normalised float32 images.
        y_B, other_B: int64 classes of the image and of the one mixed into it.
        share: weight of `y_B`; the rest is `other_B`'s. A scalar on the device in a recorded step.
    """

    x_BCHW: Tensor
    y_B: Tensor
    other_B: Tensor
    share: float | Tensor


def augment(
    x_BCHW: Tensor, y_B: Tensor, *, protocol: Protocol, scaling: "Scaling", rng: np.random.Generator
) -> Batch:
    """The recipe's augmentation of uint8 images, in the recipe's order."""
    if protocol.flip or protocol.crop_padding:
        x_BCHW = flip_crop(x_BCHW, flip=protocol.flip, padding=protocol.crop_padding, rng=rng)
    x_BCHW = scaling.normalise(x_BCHW)
    if protocol.erasing:
        x_BCHW = erase(x_BCHW, probability=protocol.erasing, rng=rng)
    if protocol.mixup or protocol.cutmix:
        return mix(x_BCHW, y_B, mixup=protocol.mixup, cutmix=protocol.cutmix, rng=rng)
    return Batch(x_BCHW, y_B, y_B, 1.0)


class Scaling:
    """Normalisation to zero mean and unit variance per channel, on one device."""

    def __init__(
        self, mean_C: tuple[float, ...], std_C: tuple[float, ...], *, device: torch.device
    ) -> None:
        self._mean = torch.tensor(mean_C, device=device).view(1, -1, 1, 1)
        self._inverse = torch.tensor(std_C, device=device).view(1, -1, 1, 1).reciprocal()

    def normalise(self, x_BCHW: Tensor) -> Tensor:
        """uint8 images -> float32."""
        return x_BCHW.float().sub_(self._mean).mul_(self._inverse)


def flip_crop(x_BCHW: Tensor, *, flip: bool, padding: int, rng: np.random.Generator) -> Tensor:
    """Mirror half of the images; shift each by up to `padding` pixels with reflected borders."""
    num, channels, height, width = x_BCHW.shape
    shift_B21 = rng.integers(-padding, padding + 1, size=(num, 2, 1))
    row_BH = _reflect(np.arange(height) + shift_B21[:, 0], height)
    column_BW = _reflect(np.arange(width) + shift_B21[:, 1], width)
    if flip:
        mirrored_B1 = rng.random((num, 1)) < 0.5
        column_BW = np.where(mirrored_B1, column_BW[:, ::-1], column_BW)
    row_BH1 = _to(row_BH * width, x_BCHW).unsqueeze(2)
    pixel_B1P = (row_BH1 + _to(column_BW, x_BCHW).unsqueeze(1)).view(num, 1, height * width)
    flat_BCP = x_BCHW.reshape(num, channels, height * width)
    return flat_BCP.gather(2, pixel_B1P.expand_as(flat_BCP)).view_as(x_BCHW)


def _reflect(index: np.ndarray, size: int) -> np.ndarray:
    return (size - 1) - np.abs((size - 1) - np.abs(index))


def erase(x_BCHW: Tensor, *, probability: float, rng: np.random.Generator) -> Tensor:
    """Blank (to the mean) a rectangle of 2 to 33 % of the area in a share of the images."""
    num, _, height, width = x_BCHW.shape
    area_B = rng.uniform(0.02, 1 / 3, num) * (rng.random(num) < probability)
    aspect_B = np.exp(rng.uniform(-np.log(3.3), np.log(3.3), num))
    row_BH = _interval(np.sqrt(area_B * aspect_B), size=height, rng=rng)
    column_BW = _interval(np.sqrt(area_B / aspect_B), size=width, rng=rng)
    inside_BHW = row_BH[:, :, None] & column_BW[:, None, :]
    return x_BCHW.masked_fill(_to(inside_BHW, x_BCHW).unsqueeze(1), 0.0)


def _interval(share_B: np.ndarray, *, size: int, rng: np.random.Generator) -> np.ndarray:
    """Mask (B, size) of a random interval that covers this share of `size`."""
    length_B = np.minimum(np.rint(share_B * size), size)
    start_B = np.floor(rng.random(len(share_B)) * (size - length_B + 1))
    axis = np.arange(size)
    return (axis >= start_B[:, None]) & (axis < (start_B + length_B)[:, None])


def mix(
    x_BCHW: Tensor, y_B: Tensor, *, mixup: float, cutmix: float, rng: np.random.Generator
) -> Batch:
    """Mixup (Zhang et al. 2018) or cutmix (Yun et al. 2019); one of them by lot if both are on."""
    partner_B = _to(rng.permutation(len(y_B)), x_BCHW)
    use_mixup = mixup > 0 and (cutmix == 0 or rng.random() < 0.5)
    alpha = mixup if use_mixup else cutmix
    share = float(rng.beta(alpha, alpha))
    if use_mixup:
        return Batch(torch.lerp(x_BCHW[partner_B], x_BCHW, share), y_B, y_B[partner_B], share)
    height, width = x_BCHW.shape[2:]
    side = np.sqrt(1 - share)
    inside_HW = (
        _interval(np.array([side]), size=height, rng=rng)[0][:, None]
        & _interval(np.array([side]), size=width, rng=rng)[0][None, :]
    )
    mixed = torch.where(_to(inside_HW, x_BCHW), x_BCHW[partner_B], x_BCHW)
    return Batch(mixed, y_B, y_B[partner_B], 1.0 - float(inside_HW.mean()))


def _to(array: np.ndarray, like: Tensor) -> Tensor:
    host = torch.from_numpy(np.ascontiguousarray(array))
    if like.device.type == "cuda":
        host = host.pin_memory()  # else the copy may wait for all that was launched before
    return host.to(like.device, non_blocking=True)
