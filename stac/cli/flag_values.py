"""From flags to values: the network and the one-network study that flags describe."""

from collections.abc import Iterable
from typing import Any

from search.study.space import Scale, Scales, Space
from stac.cli.flags import NetworkFlags
from stacnet.attention_spec import LIVE_FIELDS, OPTIONS, Placement
from stacnet.data_spec import DataSpec, Digits, Prepared, ScaleSignal, ShiftedLayouts
from stacnet.spec import ResNetSpec, resnet

SHAPE_FLAGS = ("input_size", "in_channels", "classes")
BUILT_IN = (
    "scalesignal",
    "shiftedlayouts",
    "digits",
)  # need no cache: no cache has such a name


def network_spec(flags: NetworkFlags) -> ResNetSpec:
    """The network that the flags name.

    Raises:
        ValueError: a value that cannot be, a scale larger than its map, or a flag without effect.
    """
    spec = one_network_space(flags).spec(0)
    assert isinstance(spec, ResNetSpec)
    return spec


def one_network_space(flags: NetworkFlags, **data: int) -> Space:
    """The space that holds just the network the flags name.

    Args:
        data: `input_size`, `in_channels` and `classes`, as far as no flag says another.
    """
    shape: dict[str, Any] = data | {
        n: v for n in SHAPE_FLAGS if (v := getattr(flags, n)) is not None
    }
    vanilla = resnet(
        flags.depth,
        width=flags.width,
        stem=flags.stem,
        **shape,
        kernels=_integers("stage-kernels", flags.stage_kernels),
    )
    gate = {n: v for n in OPTIONS if n != "kind" and (v := getattr(flags, n)) is not None}
    if flags.placement is not None:
        gate["placement"] = _placement(flags.placement)
    kind = flags.attention or ("none" if flags.scale is None else "stac")
    if kind == "none":
        unused = [name for name in (*gate, "scale") if getattr(flags, name) is not None]
        if unused:
            raise ValueError(f"--{unused[0]} has no effect without attention; give --scale too")
        none: Scales = tuple(("off",) for _ in vanilla.blocks)
        return Space(base=vanilla, scales=none)
    for name in (*gate, "scale"):
        if getattr(flags, name) is not None and name not in LIVE_FIELDS[kind]:
            raise ValueError(f"--{name} has no effect with --attention {kind}; leave it out")
    choices: dict[str, Any] = {f"{name}s": (value,) for name, value in gate.items()}
    scales: Scales = tuple((scale,) for scale in _scales(flags.scale, len(vanilla.blocks)))
    return Space(base=vanilla, scales=scales, kinds=(kind,), **choices)


def data_spec(name: str) -> DataSpec:
    """The data that `--data` names."""
    match name:
        case "scalesignal":
            return ScaleSignal()
        case "shiftedlayouts":
            return ShiftedLayouts()
        case "digits":
            return Digits()
        case _:
            return Prepared(name=name)


def assignments(groups: Iterable[Iterable[str]]) -> dict[str, str]:
    """FIELD=VALUE words as a mapping.

    Raises:
        ValueError: a word has no `=`.
    """
    words = [word for group in groups for word in group]
    for word in words:
        if "=" not in word:
            raise ValueError(f"--override takes FIELD=VALUE, got {word}")
    return {name: value for name, _, value in (word.partition("=") for word in words)}


def _scales(text: str | None, num_stages: int) -> tuple[Scale, ...]:
    """One scale for all stages, or one per stage; native if nothing is said."""
    parts = (text or "native").split(",")
    parts = parts * num_stages if len(parts) == 1 else parts
    return tuple(part if part in ("off", "native") else _integer("scale", part) for part in parts)


def _placement(text: str) -> Placement:
    return text if text in ("all", "last") else _integers("placement", text)


def _integers(flag: str, text: str | None) -> tuple[int, ...]:
    return tuple(_integer(flag, part) for part in text.split(",")) if text else ()


def _integer(flag: str, text: str) -> int:
    if not text.strip().isdigit():
        raise ValueError(f"--{flag} takes whole numbers, got {text!r}")
    return int(text)
