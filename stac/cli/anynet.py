"""`stac classrepsim --network`: the map of any network on any images, without a study."""

import difflib
import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from analysis.look.anynet import SCALES, map_of, probe_arrays, redrawn
from analysis.look.classmap import ClassRepMap
from analysis.look.probeset import choose
from search.study.study_file import value_from_file
from stac.cli.commands import ClassRepSim
from stac.cli.flag_values import BUILT_IN, data_spec
from stacnet.data.images import load, pixel_statistics, whole
from stacnet.data.prepare import LARGEST_SIDE, open_source

TORCHVISION = "torchvision:"
OUTS = (".parquet", ".svg", ".png")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of torchvision's own weights, shares


class Images(NamedTuple):
    """Labelled uint8 images (N, C, S, S), and mean and deviation to normalise them with."""

    images_NCHW: NDArray[np.uint8]
    labels_N: NDArray[np.int64]
    mean_C: tuple[float, ...]
    std_C: tuple[float, ...]


def look_at(command: ClassRepSim) -> ClassRepMap:
    """The map of the network that the flags name.

    Raises:
        ValueError: a flag is missing or does not fit, or there is no such network, file or data.
    """
    if command.data is None or command.train:
        wrong = "--train is for a study" if command.train else "got no --data"
        raise ValueError(f"--network must come with --data and without --train: {wrong}")
    if command.size is not None and not 1 <= command.size <= LARGEST_SIDE:
        raise ValueError(f"size must be in 1..{LARGEST_SIDE} pixels, got {command.size}")
    if command.out and Path(command.out).suffix not in OUTS:
        raise ValueError(f"--out of a network's map must end in {', '.join(OUTS)}: {command.out}")
    if command.out and not Path(command.out).parent.is_dir():
        raise ValueError(f"--out must be in a folder that is there, got {command.out}")
    network, untrained = networks(command.network or "", command.weights)
    device = device_of(command.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    found = probe_images(command.data, images=command.images, size=command.size)
    if (command.network or "").startswith(TORCHVISION):
        mean_C, std_C = (tuple(255 * share for share in shares) for shares in (MEAN, STD))
        found = found._replace(mean_C=mean_C, std_C=std_C)
    probes = probe_arrays(prepared(found, command.size), found.labels_N, like=network.to(device))
    return map_of(
        network,
        probes,
        taps=command.taps.split(",") if command.taps else (),
        scales=_scales(command.scales) if command.scales else SCALES,
        untrained=None if untrained is None else untrained.to(device),
    )


def networks(name: str, weights: str | None) -> tuple[nn.Module, nn.Module | None]:
    """The network, and its twin from other random weights if one can be made; notes on stderr."""
    state = None if weights is None else read_state(weights)
    if name.startswith(TORCHVISION):
        pair = tuple(_torchvision(name, state, seed=seed) for seed in (0, 1))
        network, untrained = pair
        if state is None:
            _note("the network is untrained: give --weights FILE")
    else:
        network = value_from_file(name, nn.Module)
        untrained = redrawn(network)
    if state is not None:
        try:
            network.load_state_dict(state)
        except RuntimeError as error:
            raise ValueError(f"{weights}: must be weights of {name}: {error}") from None
    if untrained is None:
        _note("no untrained control: a part of the network cannot draw its weights anew")
    return network, untrained


def _torchvision(name: str, state: dict[str, Tensor] | None, *, seed: int) -> nn.Module:
    """A network of torchvision, with as many classes as the state's last tensor."""
    import torchvision

    known = torchvision.models.list_models(module=torchvision.models)
    short = name.removeprefix(TORCHVISION)
    if short not in known:
        near = ", ".join(difflib.get_close_matches(short, known)) or "none like it"
        raise ValueError(f"network must be one of torchvision's classifiers ({near}), got {name}")
    classes = {} if state is None else {"num_classes": len([*state.values()][-1])}
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        return torchvision.models.get_model(short, weights=None, **classes)


def read_state(path: str) -> dict[str, Tensor]:
    """A state dict, also if it lies under `model` or `state_dict`; no code in the file is run.

    Raises:
        ValueError: it is no such file.
    """
    try:
        found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # bytes that are none make the unpickler raise anything
        if isinstance(error, OSError) and error.filename:  # there is none
            raise
        reason = str(error).splitlines() or [type(error).__name__]
        raise ValueError(f"{path}: must be a state dict saved by torch, got {reason[0]}") from None
    for name in ("model", "state_dict"):
        if isinstance(found, dict) and isinstance(found.get(name), dict):
            found = found[name]
    if not (isinstance(found, dict) and found and all(map(torch.is_tensor, found.values()))):
        raise ValueError(f"{path}: must be a state dict, got {type(found).__name__}")
    return found


def probe_images(data: str, *, images: int, size: int | None) -> Images:
    """Images of the validation split, or of the test split of a folder.

    Raises:
        ValueError: there is no such data, or too little of it.
    """
    if data in BUILT_IN or not Path(data).is_dir():
        splits = load(data_spec(data))
        chosen = choose(splits.val.labels_N, images=images, classes=splits.classes)
        x_NCHW = splits.val.take(chosen.order_N)
        return Images(x_NCHW, splits.val.labels_N[chosen.order_N], splits.mean_C, splits.std_C)
    source = open_source(Path(data), size=size)
    labels_N = source.labels("test")
    chosen = choose(labels_N, images=images, classes=len(source.class_names))
    parts = [part for part in source.parts if part.split == "test"]
    starts = np.cumsum([0, *(len(part.labels_N) for part in parts)])
    read = []
    for at in chosen.order_N.tolist():
        number = int(np.searchsorted(starts, at, side="right")) - 1
        first = at - int(starts[number])
        read.append(parts[number].read(first, first + 1))
    x_NCHW = np.concatenate(read)
    chosen_labels_N = labels_N[chosen.order_N]
    return Images(x_NCHW, chosen_labels_N, *pixel_statistics(whole(x_NCHW, chosen_labels_N)))


def prepared(found: Images, size: int | None) -> Tensor:
    """The images as a network wants them: normalised floats (N, C, S, S), resized."""
    x_NCHW = torch.from_numpy(found.images_NCHW).float()
    if size is not None and size != x_NCHW.shape[2]:
        x_NCHW = F.interpolate(x_NCHW, (size, size), mode="bilinear", antialias=True)
    mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in (found.mean_C, found.std_C))
    return (x_NCHW - mean) / std


def device_of(name: str) -> torch.device:
    """The device of that name.

    Raises:
        ValueError: there is none here.
    """
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device must be one that torch finds here, got {name}: {error}") from None
    return device


def write_map(chart: ClassRepMap, out: str) -> None:
    """As a table (.parquet) or a picture (.svg, .png)."""
    suffix = Path(out).suffix
    if suffix == ".parquet":
        from analysis.predict.mapfile import map_to_parquet

        data = map_to_parquet(chart)
    else:
        from analysis.report.figures import to_bytes
        from analysis.report.figures_map import draw_map, map_facts

        data = to_bytes(draw_map(map_facts(chart)), kind="svg" if suffix == ".svg" else "png")
    Path(out).write_bytes(data)


def to_json(chart: ClassRepMap) -> str:
    """Every reading of the map."""
    from analysis.judge.comparison import plain

    return json.dumps(plain(chart))


def _scales(text: str) -> list[int]:
    parts = text.split(",")
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise ValueError(f"--scales takes whole numbers from 1, such as 1,2,4, got {text}")
    return [int(part) for part in parts]


def _note(text: str) -> None:
    print(f"note: {text}", file=sys.stderr)
