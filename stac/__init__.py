"""The command line and the public Python names; nothing imports it.

A name is imported when it is first used, so that `import stac` costs nothing and a study can be
written down without torch. What each name is: docs/python.md.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from search.study.space import Space
    from search.study.study import Exhaustive, Finalists, Objective, Resources, Sampled, Study
    from stac.anynet import classrepsim
    from stac.figures import (
        plot_costs,
        plot_curves,
        plot_frontier,
        plot_map,
        plot_ranking,
        plot_replays,
    )
    from stac.judging import answer, compare, predict, replay, report, simulate
    from stac.result import Network, Result
    from stac.running import open, resume, search
    from stacnet.attention_spec import AttentionSpec
    from stacnet.data_spec import Digits, Prepared, ScaleSignal, ShiftedLayouts
    from stacnet.insert import insert
    from stacnet.named_spec import NamedSpec
    from stacnet.network import named
    from stacnet.protocol import Protocol
    from stacnet.sites import sites
    from stacnet.spec import ResNetSpec, resnet

_HOME = {
    "search.study.space": ("Space",),
    "search.study.study": (
        "Exhaustive",
        "Finalists",
        "Objective",
        "Resources",
        "Sampled",
        "Study",
    ),
    "stac.anynet": ("classrepsim",),
    "stac.figures": (
        "plot_costs",
        "plot_curves",
        "plot_frontier",
        "plot_map",
        "plot_ranking",
        "plot_replays",
    ),
    "stac.judging": ("answer", "compare", "predict", "replay", "report", "simulate"),
    "stac.result": ("Network", "Result"),
    "stac.running": ("open", "resume", "search"),
    "stacnet.attention_spec": ("AttentionSpec",),
    "stacnet.data_spec": ("Digits", "Prepared", "ScaleSignal", "ShiftedLayouts"),
    "stacnet.insert": ("insert",),
    "stacnet.named_spec": ("NamedSpec",),
    "stacnet.network": ("named",),
    "stacnet.protocol": ("Protocol",),
    "stacnet.sites": ("sites",),
    "stacnet.spec": ("ResNetSpec", "resnet"),
}
_MODULE = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "AttentionSpec",
    "Digits",
    "Exhaustive",
    "Finalists",
    "NamedSpec",
    "Network",
    "Objective",
    "Prepared",
    "Protocol",
    "ResNetSpec",
    "Resources",
    "Result",
    "Sampled",
    "ScaleSignal",
    "ShiftedLayouts",
    "Space",
    "Study",
    "answer",
    "classrepsim",
    "compare",
    "insert",
    "named",
    "open",
    "plot_costs",
    "plot_curves",
    "plot_frontier",
    "plot_map",
    "plot_ranking",
    "plot_replays",
    "predict",
    "replay",
    "report",
    "resnet",
    "resume",
    "search",
    "simulate",
    "sites",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE:
        raise AttributeError(f"module stac has no {name}; it has {', '.join(__all__)}")
    value = globals()[name] = getattr(import_module(_MODULE[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
