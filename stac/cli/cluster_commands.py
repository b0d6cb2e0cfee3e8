"""The commands that use a cluster, and their flags; `ray up` and `ray down` start and end it."""

from dataclasses import dataclass
from typing import Annotated

from tyro.conf import Positional, arg

ClusterFile = Annotated[Positional[str], arg(name="FILE", metavar="FILE")]
RunName = Annotated[Positional[str | None], arg(name="RUN", metavar="RUN")]


@dataclass(frozen=True, kw_only=True)
class Wait:
    """Ask for GPUs and CPUs, and wait until they are there."""

    file: ClusterFile
    """the cluster's YAML"""
    gpus: int = 0
    """how many"""
    cpus: int = 0
    """how many"""
    timeout_s: float = 1200
    """give up after so many seconds"""


@dataclass(frozen=True, kw_only=True)
class Run:
    """Run a stac command on the head; one that trains a study goes on when you log out."""

    file: ClusterFile
    """the cluster's YAML"""
    command: Annotated[Positional[str], arg(name="COMMAND", metavar="COMMAND")]
    """quoted, such as "search demo --out s3://bucket/study"; it joins the cluster's Ray"""


@dataclass(frozen=True, kw_only=True)
class List:
    """The runs: name, state, begin and command of each run."""

    file: ClusterFile
    """the cluster's YAML"""
    json: bool = False
    """print JSON"""


@dataclass(frozen=True, kw_only=True)
class Log:
    """Last lines of a run, and how it ended."""

    file: ClusterFile
    """the cluster's YAML"""
    run: RunName = None
    """which; by default the newest that runs, else the newest"""
    lines: int = 20
    """how many"""
    follow: Annotated[bool, arg(aliases=["-f"])] = False
    """go on until it ends"""


@dataclass(frozen=True, kw_only=True)
class Stop:
    """End a run in order: its trainings write checkpoints, so resume goes on from there."""

    file: ClusterFile
    """the cluster's YAML"""
    run: RunName = None
    """which; may be left out if one runs"""
