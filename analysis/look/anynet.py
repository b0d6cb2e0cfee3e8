"""The map of a network that nobody here has built: its places, its probe images, its controls.

Every torch module whose submodules give maps (N, C, H, H) can be looked at. Of the controls,
pixels, permuted labels and permuted layout need nothing but the images; the untrained network
needs a twin, which is made here if every part of the network can draw its own weights anew.
"""

from collections.abc import Iterator, Sequence
from copy import deepcopy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from analysis.look.classmap import ClassRepMap, Place
from analysis.look.classrepsim import ProbeSet
from analysis.look.controls import map_with_controls
from analysis.look.probeset import choose

SCALES = (1, 2, 4, 8)  # cells per side, where the map is as large; its native size is always read
BATCH = 64  # images per forward pass


def map_of(
    module: nn.Module,
    probe_set: ProbeSet,
    *,
    taps: Sequence[str] = (),
    scales: Sequence[int] = SCALES,
    untrained: nn.Module | None = None,
) -> ClassRepMap:
    """The map of one network: a stage for each tap.

    Args:
        module: it is run in eval mode and left as it was.
        taps: names of submodules; by default the last one of each map size above one cell.
        scales: cells per side.
        untrained: its twin from random weights; without, that control is missing from the map.

    Raises:
        ValueError: a tap does not exist or gives no square map, a scale is no whole number from 1,
            a response is no finite number.
    """
    for scale in scales:
        if not isinstance(scale, int | np.integer) or scale < 1:
            raise ValueError(f"scales must be whole numbers from 1, got {scale}")
    sides = map_sides(module, next(probe_set.batches()))
    last_of_side = {side: name for name, side in sides.items() if side > 1}
    chosen = list(taps) or [name for name in sides if name in last_of_side.values()]
    if not chosen:
        raise ValueError("taps must be named: no module's output is a map of more than one cell")
    for tap in chosen:
        if tap not in sides:
            raise ValueError(
                f"tap must name a module whose output has shape (N, C, H, H), got {tap!r}; "
                f"such are {', '.join(sides)}"
            )
    return map_with_controls(
        [(module, untrained)],
        probe_set,
        places=[Place(tap, stage, (tap,)) for stage, tap in enumerate(chosen)],
        last=list(sides)[-1],
        scales=sorted({1, *scales}),
    )


def map_sides(module: nn.Module, x_BCHW: Tensor) -> dict[str, int]:
    """Side of the map that each submodule gives, pixels, in the order in which they finish.

    Modules without a square map are left out; of those that are called again the last call counts.

    Raises:
        ValueError: the network cannot take the images.
    """
    sides: dict[str, int] = {}

    def note(name: str, output: object) -> None:
        sides.pop(name, None)
        if isinstance(output, Tensor) and output.ndim == 4 and output.shape[2] == output.shape[3]:
            sides[name] = output.shape[2]

    hooks = [
        part.register_forward_hook(lambda part, inputs, output, name=name: note(name, output))
        for name, part in module.named_modules()
        if name
    ]
    was_training = module.training
    module.eval()
    try:
        with torch.inference_mode():
            module(x_BCHW[:1])
    except (RuntimeError, TypeError) as error:  # what torch says of a shape that does not fit
        shape = tuple(x_BCHW.shape[1:])
        raise ValueError(f"the network must take images of {shape}, got {error}") from error
    finally:
        module.train(was_training)
        for hook in hooks:
            hook.remove()
    return sides


def probe_arrays(
    images_NCHW: Tensor, labels_N: NDArray[np.int64], *, like: nn.Module, images: int | None = None
) -> ProbeSet:
    """Probe images from arrays, on the device and in the precision of a network.

    Args:
        images_NCHW: floating point, as the network wants them.
        labels_N: their classes, any whole numbers.
        images: how many are wanted; all by default.

    Raises:
        ValueError: shapes or types do not fit, or fewer than two classes have two images.
    """
    if images_NCHW.ndim != 4 or not images_NCHW.is_floating_point():
        raise ValueError(
            f"images must be floating point (N, C, H, W), normalised as the network wants them, "
            f"got {images_NCHW.dtype} {tuple(images_NCHW.shape)}"
        )
    is_whole = labels_N.ndim == 1 and labels_N.dtype.kind in "iu"
    if not is_whole or len(labels_N) != len(images_NCHW):
        raise ValueError(
            f"labels must be a whole number for each of {len(images_NCHW)} images, got "
            f"{labels_N.dtype} {labels_N.shape}"
        )
    classes, class_N = np.unique(labels_N, return_inverse=True)
    wanted = len(labels_N) if images is None else images
    chosen = choose(class_N, images=wanted, classes=len(classes))
    weight = next((w for w in like.parameters() if w.is_floating_point()), torch.zeros(0))

    def batches() -> Iterator[Tensor]:
        for at_B in torch.from_numpy(chosen.order_N).split(BATCH):
            yield images_NCHW[at_B].to(weight)

    return ProbeSet(
        batches=batches,
        labels_N=chosen.labels_N,
        num_gallery=chosen.num_gallery,
        classes=chosen.classes,
        left_out=len(classes) - chosen.classes,
    )


def redrawn(module: nn.Module, *, seed: int = 0) -> nn.Module | None:
    """A copy with weights drawn anew by each part's own `reset_parameters`.

    None if a part holds parameters and has no such method: a learned token, or a scale per layer.
    """
    twin = deepcopy(module)
    devices = {w.device.index for w in twin.parameters() if w.is_cuda}
    with torch.random.fork_rng(sorted(devices)):
        torch.manual_seed(seed)
        for part in twin.modules():
            reset = getattr(part, "reset_parameters", None)
            if callable(reset):
                reset()
            elif next(part.parameters(recurse=False), None) is not None:
                return None
    return twin
