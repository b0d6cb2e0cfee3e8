"""The commands of `stac` and their flags: frozen values, cheap to import, no work."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Union

import tyro
from tyro.conf import Positional, arg, subcommand

from stac.cli.cluster_commands import List, Log, Run, Stop, Wait
from stac.cli.flags import DataFlags, Folder, NetworkFlags
from stac.cli.study_commands import (
    Bench,
    Compact,
    Doctor,
    Export,
    Extend,
    Finalists,
    Plan,
    Repair,
    Resume,
    Search,
    Status,
    Studies,
)


@dataclass(frozen=True, kw_only=True)
class Demo:
    """The whole story on embedded data: search, map, picks, comparison, report."""

    out: str = "out/demo"
    """folder of the report and of the study that is searched"""


@dataclass(frozen=True, kw_only=True)
class ClassRepSim:
    """Map of a study's trained vanilla network, and the picks of every rule; or of any network."""

    folder: Annotated[Positional[str | None], arg(name="DIR", metavar="DIR")] = None
    """the study's folder; or leave it out and name a network"""
    network: str | None = None
    """torchvision:NAME, such as torchvision:resnet18, or file.py:function returning a module"""
    weights: str | None = None
    """of the network: file of a state dict; without it, the network's own"""
    data: str | None = None
    """for the network: data that is built in, the name of prepared images, or a folder of images"""
    size: int | None = None
    """side that images are resized to for the network, pixels; needed for a folder of images"""
    taps: str | None = None
    """modules of the network, such as layer1,layer2; by default the last of each map size"""
    scales: str | None = None
    """cells per side at which the network's maps are read (1,2,4,8), and their native size"""
    device: str | None = None
    """such as cpu or cuda; by default cpu for a study, a GPU if there is one for a network"""
    out: str | None = None
    """picks.json to write; by default in DIR. Of a network: its map (.parquet, .svg or .png)"""
    images: int = 1000
    """probe images, from the validation split (of a folder: test); at least 4 of each class"""
    train: bool = False
    """first train the vanilla network here, if the study has not: as a training of the study"""
    json: bool = False
    """print JSON"""


@dataclass(frozen=True, kw_only=True)
class Compare:
    """Picks against the stored frontier, with statistics."""

    folder: Folder
    """the study's folder"""
    picks: str | None = None
    """picks.json; by default the one in DIR"""
    json: bool = False
    """print JSON: every number of the report"""


@dataclass(frozen=True, kw_only=True)
class Report:
    """One self-contained HTML; works on a partial study."""

    folder: Folder
    """the study's folder"""
    out: str | None = None
    """file to write; by default report.html in DIR"""


@dataclass(frozen=True, kw_only=True)
class Replay:
    """A sampler simulated on the stored table; nothing is trained."""

    folder: Folder
    """the study's folder"""
    sampler: Literal["random", "qmc", "tpe", "gp", "nsga2", "cmaes"] = "random"
    """Optuna's sampler; random takes seconds, those that learn take minutes"""
    runs: int = 200
    """simulated searches"""
    concurrency: int = 1
    """trials at once on the virtual clock"""
    json: bool = False
    """print JSON"""


@dataclass(frozen=True, kw_only=True)
class Train:
    """Train one network, as one training of a store."""

    network: NetworkFlags = field(default_factory=NetworkFlags)
    recipe: DataFlags = field(default_factory=DataFlags)
    seed: int = 0
    """of initialisation and data order"""
    out: str
    """folder for the store row and the curve"""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Parameters, MACs, activation memory of one network, and ratios to its vanilla twin."""

    network: NetworkFlags = field(default_factory=NetworkFlags)
    latency: bool = False
    """also time the forward pass here: one image, fp32, all threads; GPU if there is one"""
    json: bool = False
    """print JSON"""


@dataclass(frozen=True, kw_only=True)
class Sites:
    """Where gates could go in any network: its blocks' ends, and what a gate costs there."""

    network: Annotated[Positional[str], arg(name="NETWORK", metavar="NETWORK")]
    """torchvision:NAME, timm:NAME, file.py:function, package.module:function; or ours: resnet18"""
    input_size: int = 64
    """side of the image, pixels"""
    in_channels: int = 3
    """channels of the image"""
    json: bool = False
    """print JSON"""


@dataclass(frozen=True, kw_only=True)
class Prepare:
    """Official files, a folder of images, or letters of fonts to a memory-mapped cache."""

    source: Annotated[Positional[str], arg(name="SOURCE", metavar="SOURCE")]
    """folder of batches (CIFAR, ImageNet64/32/16) or of images: train/CLASS and test/CLASS, or
    CLASS alone, of which a fifth becomes the test split; with --task, of fonts (TTF, OTF)"""
    name: str
    """name of the cache, below $STACNET_DATA (default ~/.cache/stacnet)"""
    size: int | None = None
    """resize images of a folder, or render letters, to this side, pixels"""
    task: Literal["letters", "typefaces"] | None = None
    """of a folder of fonts: which letter (of unseen typefaces), or which typeface (of unseen
    letters)"""


@dataclass(frozen=True, kw_only=True)
class Inspect:
    """What a prepared cache holds."""

    name: Annotated[Positional[str], arg(name="NAME", metavar="NAME")]
    """name of the cache"""
    sheet: str | None = None
    """PNG to write: some images of each class"""
    json: bool = False
    """print JSON"""


# Command -> the function below stac.cli that carries it out, given the command: an exit code, or
# None for 0. A command is called like its class, in small letters.
COMMANDS: dict[type, str] = {
    Demo: "analysis:demo",
    Studies: "studies:run",
    Bench: "studies:bench",
    Plan: "plan:run",
    Search: "study:search",
    Resume: "study:resume",
    Extend: "study:extend",
    Finalists: "study:finalists",
    Status: "status:run",
    Compact: "study:compact",
    Repair: "study:mend",
    Export: "study:export",
    Doctor: "study:examine",
    ClassRepSim: "analysis:classrepsim",
    Compare: "analysis:compare",
    Report: "analysis:report",
    Replay: "analysis:replay",
    Train: "train:run",
    Cost: "network:cost",
    Sites: "sites:show",
}
DATA_COMMANDS: dict[type, str] = {Prepare: "network:prepare", Inspect: "network:inspect"}
CLUSTER_COMMANDS: dict[type, str] = {
    Wait: "cluster:wait",
    Run: "cluster:run",
    List: "cluster:every",
    Log: "cluster:log",
    Stop: "cluster:stop",
}
HANDLERS = COMMANDS | DATA_COMMANDS | CLUSTER_COMMANDS


def _choice(commands: Iterable[type], *more: Any) -> Any:
    """What tyro parses: one of the commands."""
    named = [Annotated[one, subcommand(one.__name__.lower())] for one in commands]
    return Union[(*named, *more)]


Command = _choice(
    COMMANDS,
    Annotated[
        _choice(DATA_COMMANDS),
        subcommand("data", description="Prepare images, or look at prepared ones."),
    ],
    Annotated[
        _choice(CLUSTER_COMMANDS),
        subcommand(
            "cluster", description="Use a cluster that `ray up` has started (docs/cluster.md)."
        ),
    ],
)


def parse(argv: list[str]) -> Any:
    """The command that `argv` names: a value of one of the classes in `HANDLERS`.

    Raises:
        SystemExit: 0 after --help, 2 for wrong use (tyro has printed why).
    """
    return tyro.cli(
        Command,
        args=argv,
        prog="stac",
        description="Where should attention go in a CNN? Search it, predict it, compare.",
        config=(
            tyro.conf.OmitArgPrefixes,
            tyro.conf.OmitSubcommandPrefixes,
            tyro.conf.FlagCreatePairsOff,
        ),
    )
