"""The commands of `stac` and their flags: frozen values, cheap to import, no work."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

import tyro
from tyro.conf import Positional, UseAppendAction, arg, subcommand

from search.flags import DataFlags, NetworkFlags, Overrides

Study = Annotated[Positional[str], arg(name="STUDY", metavar="STUDY")]
Folder = Annotated[Positional[str], arg(name="DIR", metavar="DIR")]


@dataclass(frozen=True, kw_only=True)
class Demo:
    """The whole story on embedded data: search, map, picks, comparison, report."""

    out: str = "out/demo"
    """folder of the report and its two studies"""


@dataclass(frozen=True, kw_only=True)
class Studies:
    """List the named studies with their size and cost estimate."""

    json: bool = False
    """print JSON"""


@dataclass(frozen=True, kw_only=True)
class Search:
    """Run a study: a name (stac studies), or file.py:function returning a Study."""

    study: Study
    """name or file.py:function"""
    out: str
    """the study's folder: a path, or s3://bucket/path"""
    address: str | None = None
    """Ray cluster to use (auto, or host:port); by default Ray starts here"""
    override: Overrides = ()
    """fields of the study, such as protocol.epochs=3; may be repeated"""
    reuse_from: str | None = None
    """folder of another study whose finished cells count"""
    budget_s: float | None = None
    """stop this run (not the study) after so many seconds"""
    loggers: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="NAME")] = ()
    """also log to tensorboard, mlflow or wandb"""


@dataclass(frozen=True, kw_only=True)
class Resume:
    """Run what a study still owes; a finished one says so."""

    folder: Folder
    """the study's folder"""
    address: str | None = None
    """Ray cluster to use; by default Ray starts here"""
    budget_s: float | None = None
    """stop this run (not the study) after so many seconds"""


@dataclass(frozen=True, kw_only=True)
class Extend:
    """Give a sampled study more trials, and run them."""

    folder: Folder
    """the study's folder"""
    trials: int
    """how many more networks"""
    address: str | None = None
    """Ray cluster to use; by default Ray starts here"""


@dataclass(frozen=True, kw_only=True)
class Finalists:
    """Train the best networks, the picks, vanilla and SE with fresh seeds."""

    folder: Folder
    """the study's folder"""
    address: str | None = None
    """Ray cluster to use; by default Ray starts here"""


@dataclass(frozen=True, kw_only=True)
class Status:
    """Cells complete, failed, running, missing; best so far; device seconds; ETA."""

    folder: Folder
    """the study's folder"""
    json: bool = False
    """print JSON"""
    watch: bool = False
    """print again every few seconds until the study is complete"""
    check: bool = False
    """validate the whole store; exit 1 if a rule is broken"""
    prices: str | None = None
    """JSON file {"device or host name": price per hour}: adds the money spent"""


@dataclass(frozen=True, kw_only=True)
class Compact:
    """Merge the store's small files."""

    folder: Folder
    """the study's folder"""


@dataclass(frozen=True, kw_only=True)
class Export:
    """Write the study for other tools."""

    folder: Folder
    """the study's folder"""
    to: Literal["optuna", "csv"]
    """an Optuna journal file (opens in optuna-dashboard), or CSV tables"""
    out: str
    """file (optuna) or folder (csv) to write"""


@dataclass(frozen=True, kw_only=True)
class Doctor:
    """Preflight: versions, storage, devices, data and the study, before hours are spent."""

    study: str | None = None
    """name or file.py:function"""
    out: str | None = None
    """folder that the study will be written to"""
    address: str | None = None
    """Ray cluster to look at; by default this machine"""


@dataclass(frozen=True, kw_only=True)
class ClassRepSim:
    """Map of a trained vanilla network, and the picks of every rule."""

    folder: Folder
    """the study's folder"""
    out: str | None = None
    """picks.json to write; by default in DIR"""
    images: int = 1000
    """probe images, from the validation split"""
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
    sampler: Literal["random", "qmc", "tpe", "gp", "nsga2", "cmaes"] = "tpe"
    """Optuna's sampler"""
    runs: int = 200
    """simulated searches"""
    concurrency: int = 1
    """trials at once on the virtual clock"""
    json: bool = False
    """print JSON"""


@dataclass(frozen=True, kw_only=True)
class Train:
    """Train one network, as one cell of a store."""

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
    """also measure the forward pass on this machine's device"""
    json: bool = False
    """print JSON"""


@dataclass(frozen=True, kw_only=True)
class Prepare:
    """Official files to a memory-mapped cache."""

    source: Annotated[Positional[str], arg(name="SOURCE", metavar="SOURCE")]
    """folder of batches (CIFAR, ImageNet64/32/16) or of images in class folders"""
    name: str
    """name of the cache, below $STACNET_DATA (default ~/.cache/stacnet)"""
    size: int | None = None
    """resize images of a folder to this side, pixels"""


@dataclass(frozen=True, kw_only=True)
class Inspect:
    """What a prepared cache holds."""

    name: Annotated[Positional[str], arg(name="NAME", metavar="NAME")]
    """name of the cache"""
    sheet: str | None = None
    """PNG to write: some images of each class"""
    json: bool = False
    """print JSON"""


Command = (
    Annotated[Demo, subcommand("demo")]
    | Annotated[Studies, subcommand("studies")]
    | Annotated[Search, subcommand("search")]
    | Annotated[Resume, subcommand("resume")]
    | Annotated[Extend, subcommand("extend")]
    | Annotated[Finalists, subcommand("finalists")]
    | Annotated[Status, subcommand("status")]
    | Annotated[Compact, subcommand("compact")]
    | Annotated[Export, subcommand("export")]
    | Annotated[Doctor, subcommand("doctor")]
    | Annotated[ClassRepSim, subcommand("classrepsim")]
    | Annotated[Compare, subcommand("compare")]
    | Annotated[Report, subcommand("report")]
    | Annotated[Replay, subcommand("replay")]
    | Annotated[Train, subcommand("train")]
    | Annotated[Cost, subcommand("cost")]
    | Annotated[
        Annotated[Prepare, subcommand("prepare")] | Annotated[Inspect, subcommand("inspect")],
        subcommand("data", description="Prepare images, or look at prepared ones."),
    ]
)


def parse(argv: list[str]) -> Command:
    """The command that `argv` names.

    Raises:
        SystemExit: 0 after --help, 2 for wrong use (tyro has printed why).
    """
    return tyro.cli(
        Command,  # type: ignore[arg-type]
        args=argv,
        prog="stac",
        description="Where should attention go in a CNN? Search it, predict it, compare.",
        config=(
            tyro.conf.OmitArgPrefixes,
            tyro.conf.OmitSubcommandPrefixes,
            tyro.conf.FlagCreatePairsOff,
        ),
    )
