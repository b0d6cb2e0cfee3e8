"""The map of any torch module, without a study or a store."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from analysis.look.anynet import SCALES, map_of, probe_arrays, redrawn
from analysis.look.classmap import ClassRepMap


def classrepsim(
    module: nn.Module,
    images: Any,
    labels: Any,
    *,
    taps: Sequence[str] = (),
    scales: Sequence[int] = SCALES,
    untrained: nn.Module | None = None,
) -> ClassRepMap:
    """How well classes can be told apart at each place and scale of a network.

    All images are used, half as gallery and half as queries, on the module's own device.
    `stac.plot_map` draws it. Beside the map stand its controls: pixels, permuted labels and
    permuted layout always; the untrained network where there is one.

    Args:
        module: any torch module; it is run in eval mode and left as it was.
        images: (N, C, H, W) floating point, as the module wants them; it was not trained on them.
        labels: (N,) whole numbers; a class with fewer than 2 images is left out.
        taps: names of submodules with output (N, C, H, H); by default the last one of each map
            size above one cell.
        scales: cells per side; the native size of each tap is always read.
        untrained: the same network from random weights. By default a copy whose parts draw their
            weights anew; where a part cannot, a warning says that this control is left out.

    Raises:
        ValueError: shapes or types do not fit, a tap does not exist or gives no square map, fewer
            than two classes have two images, images or weights are not finite.
    """
    probes = probe_arrays(torch.as_tensor(images), np.asarray(_on_cpu(labels)), like=module)
    twin = redrawn(module) if untrained is None else untrained
    if twin is None:
        warnings.warn(
            "the map has no untrained control: a part of the network holds parameters and has no "
            "reset_parameters; give untrained=",
            stacklevel=2,
        )
    return map_of(module, probes, taps=taps, scales=scales, untrained=twin)


def _on_cpu(labels: Any) -> Any:
    return labels.cpu() if isinstance(labels, torch.Tensor) else labels
