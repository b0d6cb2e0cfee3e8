"""A study: what is searched, how it is trained, with which strategy; one frozen value."""

import json
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal

from search.errors import StudyError
from search.study.metrics import MEASURES, Direction, Metric
from search.study.space import Space
from stacnet.fields import (
    Count,
    Fraction,
    Name,
    Rule,
    Seed,
    Whole,
    check_fields,
    from_plain,
)
from stacnet.ids import short_hash
from stacnet.protocol import Protocol

SamplerName = Literal["random", "qmc", "tpe", "gp", "nsga2", "cmaes"]
SchedulerName = Literal["none", "asha", "median"]
RuleName = Literal["R1", "R2", "R3", "R4", "R5", "R2+R5", "R6", "R7"]  # analysis/predict
Seeds = Annotated[
    tuple[Seed, ...],
    Rule(
        "one or more distinct whole numbers from 0 to 2**63 - 1",
        lambda seeds: 0 < len(seeds) == len(set(seeds)),
    ),
]
SamplerSeed = Annotated[int, Rule("a whole number from 0 to 2**31 - 1", lambda n: 0 <= n < 2**31)]
Devices = Annotated[
    float,
    Rule(
        "0, a share of one from 0.0001 in steps of 0.0001, or a whole number",
        lambda x: x >= 0 and (x == round(x, 4) if x <= 1 else x == int(x)),
    ),
]
LARGEST_EXHAUSTIVE = 10_000_000  # points: listing them takes minutes
# What a study may leave open, and what stands for that: the stored study's choice then holds.
LEFT_OPEN: dict[str, Any] = {"strategy.concurrency": None, "protocol.data.checksum": ""}


@dataclass(frozen=True, kw_only=True)
class Exhaustive:
    """Every distinct network of the space, each with every seed, in a seeded shuffled order."""

    shuffle_seed: Seed = 0
    kind: Literal["exhaustive"] = "exhaustive"

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, kw_only=True)
class Sampled:
    """Networks chosen one after the other by an Optuna sampler; no network is trained twice.

    Args:
        sampler: Optuna's sampler of that name.
        trials: how many distinct networks; `stac extend` raises it.
        scheduler: what may stop a network early.
        sampler_seed: of the sampler.
        concurrency: networks asked for before the first is told; None for as many as can be
            trained at once where the study runs.
    """

    sampler: SamplerName = "tpe"
    trials: Count = 100
    scheduler: SchedulerName = "none"
    sampler_seed: SamplerSeed = 0
    concurrency: Count | None = None
    kind: Literal["sampled"] = "sampled"

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, kw_only=True)
class Objective:
    """One thing to optimise: accuracy (a share) upwards, all others downwards.

    Latency is seconds per image. The direction is said so that a study reads without this file.
    """

    metric: Metric = "val_acc"
    direction: Direction = "maximize"

    def __post_init__(self) -> None:
        check_fields(self)
        good = MEASURES[self.metric].direction
        if self.direction != good:
            raise ValueError(
                f"direction of {self.metric} must be {good}, got direction={self.direction!r}"
            )


Objectives = Annotated[
    tuple[Objective, ...],
    Rule(
        "one or more objectives of distinct metrics",
        lambda goals: 0 < len(goals) == len({goal.metric for goal in goals}),
    ),
]


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What one trial holds: CPU cores (= torch threads) and a share of a GPU."""

    cpus: Count = 1
    gpus: Devices = 0.0

    def __post_init__(self) -> None:
        check_fields(self)

    def devices(self, gpus: float) -> float:
        """What an attempt with that share of a GPU holds: the share, or cores without one."""
        return gpus or float(self.cpus)


@dataclass(frozen=True, kw_only=True)
class Finalists:
    """Fresh seeds for the best networks and the picks, run by `stac finalists`."""

    top: Whole = 10
    seeds: Seeds = (100, 101, 102, 103, 104)

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, kw_only=True)
class Study:
    """Everything that defines a search; written once as `study.json` and never changed.

    Args:
        name: what people call it.
        space: the networks.
        protocol: how each is trained.
        seeds: of initialisation and data order; each network is trained with each.
        strategy: which networks, in which order.
        objectives: what `best` means; the first is what a scheduler looks at.
        resources: of one trial.
        finalists: who gets fresh seeds.
        primary_rule: the ClassRepSim rule that is judged, fixed before anyone looks.
        margin: accuracy difference (share) below which two networks count as equal (TOST).
        max_attempts: how often a crashing training is tried before it is given up.
    """

    name: Name
    space: Space
    protocol: Protocol
    seeds: Seeds = (0,)
    strategy: Exhaustive | Sampled = field(default_factory=Exhaustive)
    objectives: Objectives = (Objective(),)
    resources: Resources = field(default_factory=Resources)
    finalists: Finalists = field(default_factory=Finalists)
    primary_rule: RuleName = "R2+R5"
    margin: Fraction = 0.003
    max_attempts: Count = 3

    def __post_init__(self) -> None:
        check_fields(self)
        both = sorted({*self.seeds} & {*self.finalists.seeds})
        if both:
            raise StudyError(
                f"finalists.seeds must be fresh ones, none of the seeds, got {both[0]} in both"
            )
        match self.strategy:
            case Sampled():
                self._check_sampler(self.strategy)
            case Exhaustive() if self.space.size() > LARGEST_EXHAUSTIVE:
                raise StudyError(
                    f"an exhaustive space must have at most {LARGEST_EXHAUSTIVE:,} points, "
                    f"got {self.space.size():,}"
                )

    def _check_sampler(self, strategy: Sampled) -> None:
        metrics = [objective.metric for objective in self.objectives]
        if strategy.scheduler != "none" and metrics != ["val_acc"]:
            raise StudyError(
                f"scheduler {strategy.scheduler} needs val_acc as its only objective (it ranks "
                f"unfinished networks by one curve), got {metrics}"
            )
        if strategy.sampler != "cmaes":
            return
        if len(metrics) > 1:
            raise StudyError(f"sampler cmaes needs a single objective, got {metrics}")
        unordered = [f.name for f in self.space.factors if len(f.choices) > 1 and not f.ordered]
        if unordered:
            raise StudyError(
                f"sampler cmaes needs ordered factors only, got choices of {unordered}"
            )

    @property
    def scheduler(self) -> SchedulerName:
        """What may stop a network early; only a sampled study has one."""
        return self.strategy.scheduler if isinstance(self.strategy, Sampled) else "none"

    def to_json(self) -> str:
        """Canonical JSON."""
        return json.dumps(asdict(self), sort_keys=True, indent=1)

    @property
    def study_id(self) -> str:
        """16 hex digits; equal for equal studies."""
        return short_hash(self.to_json())


def study_from_json(text: str | bytes, *, source: str) -> Study:
    """Read a study back.

    Args:
        text: what `Study.to_json` gave.
        source: file name, for the error.

    Raises:
        ValueError: file, field, rule and value.
    """
    try:
        plain = json.loads(text)
        if not isinstance(plain, dict):
            raise ValueError(f"a study must be a JSON object, got {type(plain).__name__}")
        return from_plain(Study, plain)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{source}: {error}") from None


def first_difference(old: Study, new: Study) -> str | None:
    """The first field in which two studies differ, as `path: old -> new`, or None.

    What the new one leaves open (`LEFT_OPEN`) is no difference.
    """
    return _difference(json.loads(old.to_json()), json.loads(new.to_json()), path="")


def _difference(old: Any, new: Any, *, path: str) -> str | None:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            found = _difference(old.get(key), new.get(key), path=f"{path}.{key}" if path else key)
            if found:
                return found
        return None
    if old == new or (path in LEFT_OPEN and new == LEFT_OPEN[path]):
        return None
    return f"{path}: {old} -> {new}"
