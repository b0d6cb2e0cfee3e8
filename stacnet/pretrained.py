"""Trained weights of a vanilla ResNet, torchvision's among them, into a network of ours."""

import re
from collections.abc import Mapping

from torch import Tensor, nn


def load_vanilla(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Fill the vanilla part of `network`; gates keep the weights they have.

    With `fuse="mul_res"` the network then starts exactly at the trained function.

    Args:
        network: from `stacnet.resnet.build`; for torchvision's weights with `stem="imagenet"`.
        weights: state dict of a vanilla network of the same shape, torchvision's or ours.

    Raises:
        ValueError: a weight is missing, has no place, or has another shape; nothing is loaded.
    """
    ours = {_our_name(name): weight for name, weight in weights.items()}
    expected = {n: w for n, w in network.state_dict().items() if ".attention." not in n}
    for name in sorted(expected.keys() - ours.keys()):
        raise ValueError(f"weights must hold every tensor of the vanilla network, got no {name}")
    for name in sorted(ours.keys() - expected.keys()):
        raise ValueError(f"weights must fit the vanilla network, got {name}, which it has not")
    for name, weight in expected.items():
        if weight.shape != ours[name].shape:
            raise ValueError(
                f"weight {name} must have shape {tuple(weight.shape)}, got "
                f"{tuple(ours[name].shape)}"
            )
    network.load_state_dict(ours, strict=False)


def _our_name(name: str) -> str:
    """torchvision counts `layer1` to `layer4` where we count `stages.0` to `stages.3`."""
    found = re.fullmatch(r"layer(\d)\.(.*)", name)
    return f"stages.{int(found[1]) - 1}.{found[2]}" if found else name
