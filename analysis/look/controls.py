"""The controls that are always computed beside the map: untrained network, pixels, permuted labels.

Permuted labels and permuted layout come out of the trained network's own look (mapping.py);
the other two need a look of their own, made here. In a prototype the untrained network gave almost
the same map: a claim about learning needs trained minus untrained.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy

import torch
from torch import nn

from analysis.look.classmap import ClassRepMap, Place
from analysis.look.classrepsim import DEFAULTS, Look, ProbeSet, Settings, look
from analysis.look.mapping import build_map

PIXELS = "image"
CALIBRATION_BATCHES = 4


class PixelModel(nn.Module):
    """A network that only hands its input on, so that the probe can pool pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.image = nn.Identity()

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        """The same tensor."""
        return self.image(x_BCHW)


def calibrated(untrained: nn.Module, probe_set: ProbeSet) -> nn.Module:
    """A copy of an untrained network that is fit to be looked at; its weights stay random.

    Norms that were initialised with zero scale get 1 (else residual branches are silent), and
    running statistics are taken from the first probe images, as training would have done.
    """
    network = deepcopy(untrained)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        if norm.affine and not norm.weight.any():
            nn.init.ones_(norm.weight)
        norm.reset_running_stats()
        norm.momentum = None  # cumulative average
    network.train()
    with torch.no_grad():
        for _, x_BCHW in zip(range(CALIBRATION_BATCHES), probe_set.batches(), strict=False):
            network(x_BCHW)
    return network.eval()


def map_with_controls(
    networks: Sequence[tuple[nn.Module, nn.Module | None]],
    probe_set: ProbeSet,
    *,
    places: Sequence[Place],
    last: str,
    scales: Sequence[int],
    settings: Settings = DEFAULTS,
) -> ClassRepMap:
    """The map of one architecture with every control.

    Args:
        networks: pairs (trained, untrained) of any torch modules of one architecture, one pair per
            vanilla seed; where an untrained twin is None, the map goes without that control.
        places: rows of the map; their taps are module names.
        last: name of the module whose spatial mean the classifier gets.
        scales: cells per side; every tap is also read at its native size.

    Raises:
        ValueError: a tap does not exist; a class is missing; the gallery is too small.
    """
    taps = [*dict.fromkeys(tap for place in places for tap in place.taps), last]

    def look_at(model: nn.Module) -> Look:
        return look(model, probe_set, taps=taps, scales=scales, settings=settings)

    looks = {"trained": [look_at(model) for model, _ in networks]}
    twins = [twin for _, twin in networks if twin is not None]
    if len(twins) == len(networks):
        looks["untrained"] = [look_at(calibrated(twin, probe_set)) for twin in twins]
    native = looks["trained"][0].native
    finer = sorted({*scales, *native.values()})
    pixels = look(PixelModel(), probe_set, taps=[PIXELS], scales=finer, settings=settings)
    return build_map(
        {**looks, "pixels": [pixels]},
        probe_set,
        places={**dict.fromkeys(looks, places), "pixels": _pixel_places(places, native)},
        last={**dict.fromkeys(looks, last), "pixels": PIXELS},
        seed=settings.seed,
    )


def _pixel_places(places: Sequence[Place], native: Mapping[str, int]) -> list[Place]:
    """The image itself, and the image at the scales that each stage has."""
    stages = [
        Place(place.name, place.stage, (PIXELS,), min(native[tap] for tap in place.taps))
        for place in places
        if place.stage >= 0
    ]
    return [Place("pixels", -1, (PIXELS,)), *stages]
