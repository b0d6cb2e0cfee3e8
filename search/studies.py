"""The named studies, and how a study is found, read from a file, and changed in single fields."""

import difflib
import importlib.util
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from search.space import Space
from search.study import Exhaustive, Sampled, Study, study_from_json
from stacnet.protocol import Digits, Protocol, ScaleSignal
from stacnet.spec import resnet


def digits() -> Study:
    """STAC scale per stage of a ResNet-8 on real digits: 27 networks, all of them."""
    return Study(
        name="digits",
        space=Space(
            base=resnet(8, width=8, input_size=8, classes=10),
            scales=(("off", 1, 2), ("off", 1, 2), ("off", 1, 2)),
            reductions=(4,),
        ),
        protocol=Protocol(data=Digits(), epochs=6, batch_size=64, lr=0.1),
        strategy=Exhaustive(),
    )


def digits_tpe() -> Study:
    """The same space, sampled by Optuna's TPE."""
    return replace(digits(), name="digits-tpe", strategy=Sampled(sampler="tpe", trials=16))


def layouts(grid: int, *, kernels: tuple[int, ...]) -> Study:
    """Where a gate must look to see layouts on a grid x grid: 16 networks, 2 seeds.

    A cell is 8 pixels, twice the stride of the last stage, so that no position leaks through
    the sampling of strided 1x1 convolutions.

    Args:
        grid: cells per side of the layouts.
        kernels: per stage; (1, 1, 1) sees 3 pixels and no layout, (3, 3, 3) sees it all.
    """
    scales = ("off", *sorted({1, 2, 4, grid}))
    size = 8 * grid
    return Study(
        name=f"layouts-{grid}",
        space=Space(
            base=resnet(8, width=8, input_size=size, classes=8, kernels=kernels),
            scales=(scales, scales, ("off",)),
            reductions=(1,),
        ),
        protocol=Protocol(
            data=ScaleSignal(grid=grid, size=size, gap=1, noise=0.1, train=1024, val=512, test=256),
            epochs=5,
            batch_size=16,
            lr=0.05,
        ),
        seeds=(0, 1),
    )


def demo_patch() -> Study:
    """The demo's first net: its receptive field is smaller than a cell, so attention can help."""
    return replace(layouts(4, kernels=(1, 1, 1)), name="demo-patch")


def demo_wide() -> Study:
    """The demo's second net: it sees the whole layout, so attention has nothing to add."""
    return replace(layouts(4, kernels=(3, 3, 3)), name="demo-wide")


def named_studies() -> dict[str, Callable[[], Study]]:
    """Name -> function that gives the study."""
    return {
        "demo-patch": demo_patch,
        "demo-wide": demo_wide,
        "digits": digits,
        "digits-tpe": digits_tpe,
        "layouts-2": lambda: layouts(2, kernels=(1, 1, 1)),
        "layouts-4": lambda: layouts(4, kernels=(1, 1, 1)),
        "layouts-8": lambda: layouts(8, kernels=(1, 1, 1)),
    }


def load_study(name: str) -> Study:
    """A study by its name, or by `file.py:function`.

    Raises:
        ValueError: there is none of that name (the nearest are named), or the file does not give
            a study.
    """
    studies = named_studies()
    if name in studies:
        return studies[name]()
    if ".py:" in name:
        file, _, function = name.rpartition(":")
        return _from_file(Path(file), function)
    near = difflib.get_close_matches(name, studies, n=3, cutoff=0.3) or sorted(studies)
    raise ValueError(
        f"study must be a name (stac studies) or file.py:function, got {name}; "
        f"did you mean {', '.join(near)}?"
    )


def override(study: Study, changes: Mapping[str, str]) -> Study:
    """The study with single fields replaced.

    Args:
        changes: dotted path, as in `study.json`, to a value: JSON, or text as it is.

    Raises:
        ValueError: no such field (the nearest are named), or a value that does not fit it.
    """
    plain = json.loads(study.to_json())
    for path, text in changes.items():
        *parents, last = path.split(".")
        place: Any = plain
        for name in parents:
            place = place[_known(name, place, path=path)]
        place[_known(last, place, path=path)] = _value(text)
    return study_from_json(json.dumps(plain), source=f"override {', '.join(changes)}")


def _known(name: str, place: Any, *, path: str) -> Any:
    if isinstance(place, dict) and name in place:
        return name
    if isinstance(place, list) and name.isdigit() and int(name) < len(place):
        return int(name)
    names = sorted(place) if isinstance(place, dict) else []
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.4) or names
    hint = f"; did you mean {', '.join(near)}?" if near else ""
    raise ValueError(f"override must name a field of the study, got {path}{hint}")


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _from_file(path: Path, function: str) -> Study:
    if not path.is_file():
        raise ValueError(f"study file must exist, got {path}")
    module_spec = importlib.util.spec_from_file_location(path.stem, path)
    assert module_spec is not None
    assert module_spec.loader is not None
    module = importlib.util.module_from_spec(module_spec)
    try:
        module_spec.loader.exec_module(module)
        study = getattr(module, function)()
    except Exception as error:
        raise ValueError(
            f"{path}:{function} must return a Study, got {type(error).__name__}: {error}"
        ) from error
    if not isinstance(study, Study):
        raise ValueError(f"{path}:{function} must return a Study, got {type(study).__name__}")
    return study
