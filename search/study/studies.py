"""The named studies, and how a study is found, read from a file, and changed in single fields."""

import difflib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from search.study.paper_studies import paper_studies
from search.study.space import Scale, Space
from search.study.study import Exhaustive, Finalists, Sampled, Study, study_from_json
from search.study.study_file import study_from_file
from stacnet.data_spec import Digits, Prepared, ScaleSignal, ShiftedLayouts
from stacnet.protocol import Protocol
from stacnet.spec import resnet

# Seconds of one core that a training of the named studies takes, but for those of official data,
# which `stac plan` times: measured on one core of an AMD EPYC, 2026-11. A count of operations
# would not tell: networks this small wait for memory and calls.
TRAINING_CORE_S = {
    "demo": 7.0,
    "digits": 2.0,
    "digits-tpe": 2.0,
    "glyph-letters": 28.0,
    "glyph-typefaces": 16.0,
    "layouts-2": 5.0,
    "layouts-4": 6.0,
    "layouts-8": 25.0,
    "sawtooth": 11.0,
    "shifted-layouts": 11.0,
    "shortcut": 11.0,
    "two-scales": 45.0,
}

SCALES: tuple[Scale, ...] = ("off", 1, 2, 4, 8, "native")
FEW_SCALES: tuple[Scale, ...] = ("off", 2, 16)
GLYPH_SCALES: tuple[Scale, ...] = ("off", 1, 2, 3, 4, "native")  # of 8x8 cells


def digits() -> Study:
    """The scale of attention per stage, on real digits: all of a small space."""
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
    """The space of digits, sampled by Optuna's TPE instead of all of it."""
    return replace(digits(), name="digits-tpe", strategy=Sampled(sampler="tpe", trials=16))


def layouts(grid: int, *, kernels: tuple[int, ...]) -> Study:
    """At which scale a gate sees layouts of so many cells per side.

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


def shifted_layouts() -> Study:
    """Layouts of gratings on 4x4 cells under every shift: no template helps, a gate at 4 does."""
    data = ShiftedLayouts(pattern="grating", grid=4, layouts=6, gap=1, train=1024, val=1024)
    return _planted("shifted-layouts", data)


def sawtooth() -> Study:
    """Layouts whose scale only a trained map sees; dots mislead pixels and untrained networks."""
    return _planted("sawtooth", ShiftedLayouts(dots="hidden"))


def shortcut() -> Study:
    """Where attention hurts: fine gates learn dots that tell the class in training only."""
    data = ShiftedLayouts(
        pattern="grating", layouts=1, flip=0.1, dots="shortcut", train=960, val=960, test=960
    )
    return _planted("shortcut", data)


def two_scales() -> Study:
    """A coarse and a fine layout: gates at 2 see one half of the class, at 16 the other."""
    data = ShiftedLayouts(pattern="grating", layouts=2, size=64, gap=13, dots="second")
    data = replace(data, train=1024, val=1024, test=1024)
    both = shifted_layouts()
    base = replace(both.space.base, input_size=64, classes=16)
    scales = (FEW_SCALES, FEW_SCALES, ("off",))
    space = replace(both.space, base=base, kinds=("stac",), scales=scales)
    protocol = replace(both.protocol, data=data, epochs=16)
    return replace(both, name="two-scales", space=space, protocol=protocol)


def glyph_letters() -> Study:
    """Which letter is it? Real typefaces; those of validation and test are unseen families."""
    return _glyphs("glyph-letters", classes=26, val_fraction=0.3, epochs=8)


def glyph_typefaces() -> Study:
    """Which typeface is it? The pictures of glyph-letters; letters of validation, test unseen."""
    return _glyphs("glyph-typefaces", classes=40, val_fraction=0.2, epochs=16)


def _glyphs(name: str, *, classes: int, val_fraction: float, epochs: int) -> Study:
    base = resnet(8, width=8, input_size=32, classes=classes, stem="s2", kernels=(1, 1, 1))
    data = Prepared(name=name, val_fraction=val_fraction)
    protocol = Protocol(data=data, epochs=epochs, batch_size=64, lr=0.1)
    return _placements(
        name, Space(base=base, scales=(SCALES, GLYPH_SCALES, ("off",)), reductions=(4,)), protocol
    )


def _planted(name: str, data: ShiftedLayouts) -> Study:
    base = resnet(8, width=8, input_size=data.size, classes=2 + data.layouts, kernels=(1, 1, 1))
    protocol = Protocol(data=data, epochs=12, batch_size=32, lr=0.1)
    space = Space(
        base=base, scales=(SCALES, SCALES, ("off",)), reductions=(1,), paddings=("circular",)
    )
    return _placements(name, space, protocol)


def _placements(name: str, space: Space, protocol: Protocol) -> Study:
    """Every gate in the first two stages of a patch-limited network, which needs them."""
    return Study(
        name=name,
        space=replace(space, kinds=("stac", "static")),
        protocol=protocol,
        seeds=(0, 1, 2, 3),
        finalists=Finalists(top=6, seeds=(100, 101)),
    )


def demo() -> Study:
    """Sawtooth in minutes: one gate in the second stage, too coarse, right or too fine."""
    full = sawtooth()
    scales = (("off",), ("off", 1, 2, "native"), ("off",))
    return replace(
        full,
        name="demo",
        space=replace(full.space, scales=scales),
        protocol=replace(full.protocol, epochs=8),
        seeds=(0, 1, 2, 3, 4, 5),
    )


def named_studies() -> dict[str, Callable[[], Study]]:
    """Name -> function that gives the study; its docstring's first line says what it is for."""
    return {
        "demo": demo,
        "digits": digits,
        "digits-tpe": digits_tpe,
        "glyph-letters": glyph_letters,
        "glyph-typefaces": glyph_typefaces,
        "layouts-2": partial(layouts, 2, kernels=(1, 1, 1)),
        "layouts-4": partial(layouts, 4, kernels=(1, 1, 1)),
        "layouts-8": partial(layouts, 8, kernels=(1, 1, 1)),
        "sawtooth": sawtooth,
        "shifted-layouts": shifted_layouts,
        "shortcut": shortcut,
        "two-scales": two_scales,
    } | paper_studies()


def load_study(name: str) -> Study:
    """A study by its name, or from `file.py:function`; the function may be left out if it is alone.

    Raises:
        ValueError: there is none of that name (the nearest are named), or the file does not give
            a study.
    """
    studies = named_studies()
    if name in studies:
        return studies[name]()
    if name.endswith(".py") or ".py:" in name:
        return study_from_file(name)
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
    for read in (json.loads, float):  # float knows .5
        try:
            return read(text)
        except (ValueError, RecursionError):
            continue
    return text
