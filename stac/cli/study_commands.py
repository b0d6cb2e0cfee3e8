"""The commands that run and keep a study, and their flags."""

from dataclasses import dataclass
from typing import Annotated, Literal

from tyro.conf import Positional, UseAppendAction, arg

from stac.cli.flags import Folder, Overrides


@dataclass(frozen=True, kw_only=True)
class Studies:
    """List the named studies with their size and cost estimate."""

    json: bool = False
    """print JSON"""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """List the studies that ship, searched to their end: bench:NAME stands for their DIR."""

    json: bool = False
    """print JSON"""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a study could show (tau, difference), and what it takes: hours, memory, storage, money.

    Steps of three of its networks are timed here on made-up images; its data need not be here.
    """

    study: Annotated[Positional[str], arg(name="STUDY", metavar="STUDY")]
    """name or file.py:function"""
    override: Overrides = ()
    """fields of the study, such as margin=0.005; may be repeated"""
    seconds: float = 30.0
    """how long steps are timed at most, about; 0 for what the study could show alone"""
    slots: int | None = None
    """trainings at once; by default as many as fit here"""
    price: float | None = None
    """of one device (a GPU, a core) for an hour"""
    json: bool = False
    """print JSON"""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Where and how long a command trains."""

    address: str | None = None
    """Ray cluster to use (auto, or host:port); by default $RAY_ADDRESS, or Ray starts here"""
    budget_s: float | None = None
    """stop this run (not the study) after so many seconds"""
    budget_money: float | None = None
    """and when its trainings have cost so much at the --prices (without heads and idle machines)"""
    prices: str | None = None
    """JSON file {"device or host name": price per hour}"""
    loggers: UseAppendAction[tuple[Literal["tensorboard", "mlflow", "wandb"], ...]] = ()
    """also log each training there"""


@dataclass(frozen=True, kw_only=True)
class Search(RunOptions):
    """Run a study: a name (stac studies), or file.py:function returning a Study."""

    study: Annotated[Positional[str], arg(name="STUDY", metavar="STUDY")]
    """name or file.py:function"""
    out: str
    """the study's folder: a path, or s3://bucket/path"""
    override: Overrides = ()
    """fields of the study, such as protocol.epochs=3; may be repeated"""
    reuse_from: str | None = None
    """folder of another study whose finished trainings count"""
    warm_start: str | None = None
    """file of networks (such as picks.json) that a sampled study tries first"""
    prior: str | None = None
    """picks.json, or picks.json:PREDICTOR (by default the primary rule), whose ranking a sampled
    study mixes in at a rate that decays"""


@dataclass(frozen=True, kw_only=True)
class Resume(RunOptions):
    """Run what a study still owes; a finished one says so."""

    folder: Folder
    """the study's folder"""


@dataclass(frozen=True, kw_only=True)
class Extend(RunOptions):
    """Give a sampled study more trials, or its pruned ones their end, and run them."""

    folder: Folder
    """the study's folder"""
    trials: int = 0
    """how many more networks"""
    promote: int = 0
    """how many of the best pruned trainings go on to their last epoch"""


@dataclass(frozen=True, kw_only=True)
class Finalists(RunOptions):
    """Train the best networks, the picks, vanilla, SE and widened twins with fresh seeds."""

    folder: Folder
    """the study's folder"""


@dataclass(frozen=True, kw_only=True)
class Status:
    """Trainings complete, failed, running, missing; best so far; device seconds; ETA."""

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
class Repair:
    """Set damaged and foreign files aside, make what can be made again, say what is owed."""

    folder: Folder
    """the study's folder"""


@dataclass(frozen=True, kw_only=True)
class Export:
    """Write the study for other tools."""

    folder: Folder
    """the study's folder"""
    to: Literal["optuna", "csv", "syne-tune"]
    """an Optuna journal file (opens in optuna-dashboard), CSV tables, or Syne Tune's blackbox"""
    out: str
    """file (optuna) or folder (csv, syne-tune) to write"""


@dataclass(frozen=True, kw_only=True)
class Doctor:
    """Preflight: versions, storage, devices, data and the study, before hours are spent."""

    study: str | None = None
    """name or file.py:function"""
    out: str | None = None
    """folder that the study will be written to"""
    address: str | None = None
    """Ray cluster to look at; by default $RAY_ADDRESS, or this machine"""
