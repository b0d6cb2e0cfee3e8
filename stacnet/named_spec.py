"""What anybody's network is, as one value: importable name, places for gates, and the gates."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Literal

from stacnet.attention_spec import LIVE_FIELDS, Attention, AttentionSpec, canonical, live_dict
from stacnet.fields import Count, check_fields
from stacnet.ids import short_hash

SOURCES: dict[str, str] = {}  # hash -> text of the files that this process has met


def source_known(text: str) -> str:
    """Remember a file that networks are made in; its hash."""
    known = short_hash(text)
    SOURCES[known] = text
    return known


@dataclass(frozen=True, kw_only=True)
class Argument:
    """A keyword argument of the function that makes a network."""

    name: str
    value: str | bool | int | float | None

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """The sites of one map size, in the order of the forward pass.

    Args:
        side: of the map, pixels.
        sites: names of the modules whose output a gate may receive.
        channels: of each of these outputs.
    """

    side: Count
    sites: tuple[str, ...]
    channels: tuple[Count, ...]

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, kw_only=True)  # without slots: it remembers its id
class NamedSpec:
    """A network by its importable name, with at most one kind of attention per stage.

    It holds its sites, so that it can be read, compared and written where its source is not at
    hand; `stacnet.network.named` finds them. What has no effect is canonicalised, as in
    `ResNetSpec`.

    Args:
        kind: tells it from a ResNet of ours.
        name: `torchvision:resnet18`, `timm:NAME`, `my_net.py:make` or `package.module:function`;
            called with `num_classes` and the arguments.
        arguments: of the function.
        source: hash of the file that it is in, whose text a study's store keeps; empty for what is
            installed.
        stages: where gates may go, by map size.
        last: name of the last module with a map, whose spatial mean the classifier gets.
        input_size: side of the square input, pixels.
        in_channels: channels of the input.
        classes: number of logits.
        attention: per stage, None for none; its placement counts the sites of the stage.

    Raises:
        ValueError: the rule that is broken, then the value.
    """

    kind: Literal["named"] = "named"
    name: str
    arguments: tuple[Argument, ...] = ()
    source: str = ""
    stages: tuple[Stage, ...]
    last: str
    input_size: Count = 64
    in_channels: Count = 3
    classes: Count = 1000
    attention: tuple[Attention, ...] = ()

    def __post_init__(self) -> None:
        check_fields(self)
        given = sorted(self.arguments, key=lambda argument: argument.name)
        object.__setattr__(self, "arguments", tuple(given))
        attention = self.attention or (None,) * len(self.stages)
        if len(attention) != len(self.stages):
            raise ValueError(
                f"attention must have one entry per stage, got attention={attention} for "
                f"{len(self.stages)} stages"
            )
        stages = zip(attention, self.stages, strict=True)
        object.__setattr__(self, "attention", tuple(one and _fitted(one, s) for one, s in stages))

    @property
    def blocks(self) -> tuple[int, ...]:
        """Number of sites per stage."""
        return tuple(len(stage.sites) for stage in self.stages)

    @property
    def map_sizes(self) -> tuple[int, ...]:
        """Side of each stage's map, pixels."""
        return tuple(stage.side for stage in self.stages)

    @property
    def vanilla(self) -> "NamedSpec":
        """The same network without attention."""
        return replace(self, attention=())

    @property
    def keywords(self) -> dict[str, Any]:
        """What the function is called with."""
        return {"num_classes": self.classes} | {one.name: one.value for one in self.arguments}

    @property
    def title(self) -> str:
        """In words."""
        arguments = ", ".join(f"{one.name}={one.value}" for one in self.arguments)
        return f"{self.name}({arguments})" if arguments else self.name

    def gated_sites(self) -> Iterator[tuple[str, int, AttentionSpec]]:
        """Name, channels and attention of each site with a gate."""
        for attention, stage in zip(self.attention, self.stages, strict=True):
            for index, site in enumerate(stage.sites):
                if attention and attention.is_in_block(index, len(stage.sites)):
                    yield site, stage.channels[index], attention

    def gate_channels(self, stage: int) -> list[int]:
        """Channels that each gate of a stage receives."""
        attention, at = self.attention[stage], self.stages[stage]
        places = enumerate(at.channels) if attention else ()
        return [c for i, c in places if attention and attention.is_in_block(i, len(at.sites))]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; attention fields that do not exist for their kind are left out."""
        return asdict(self) | {"attention": [one and live_dict(one) for one in self.attention]}

    @cached_property
    def network_id(self) -> str:
        """16 hex digits; equal for equal networks."""
        return short_hash(json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":")))


def _fitted(attention: AttentionSpec, stage: Stage) -> AttentionSpec | None:
    """In canonical form; a reduction stays what it is where the sites' channels differ."""
    if attention.position != "post":
        raise ValueError(
            f"position must be post where sites have names, got {attention.position!r}"
        )
    fitted = canonical(
        attention, channels=max(stage.channels), size=stage.side, num_blocks=len(stage.sites)
    )
    is_narrow = len(set(stage.channels)) == 1
    if fitted is None or is_narrow or "reduction" not in LIVE_FIELDS[fitted.kind]:
        return fitted
    return replace(fitted, reduction=attention.reduction)
