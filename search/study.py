"""A study: what is searched, how it is trained, with which strategy; one frozen value."""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from search.space import Space
from stacnet.protocol import Protocol

SamplerName = Literal["random", "qmc", "tpe", "gp", "nsga2", "cmaes"]
Metric = Literal["val_acc", "val_loss", "macs", "params", "latency_s"]


@dataclass(frozen=True, kw_only=True)
class Exhaustive:
    """Every distinct network of the space, each with every seed, in a seeded shuffled order."""

    shuffle_seed: int = 0
    kind: Literal["exhaustive"] = "exhaustive"


@dataclass(frozen=True, kw_only=True)
class Sampled:
    """Networks chosen one after the other by an Optuna sampler; no network is trained twice.

    Args:
        sampler: Optuna's sampler of that name.
        trials: how many distinct networks; `stac extend` raises it.
        scheduler: what may stop a network early.
        sampler_seed: of the sampler.
        concurrency: trials asked for before the first is told; None for as many as there are slots.
    """

    sampler: SamplerName = "tpe"
    trials: int = 100
    scheduler: Literal["none", "asha", "median"] = "none"
    sampler_seed: int = 0
    concurrency: int | None = None
    kind: Literal["sampled"] = "sampled"


@dataclass(frozen=True, kw_only=True)
class Objective:
    """One thing to optimise. Accuracies are shares, latency is seconds per image."""

    metric: Metric = "val_acc"
    direction: Literal["maximize", "minimize"] = "maximize"


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What one trial holds: CPU cores (= torch threads) and a share of a GPU."""

    cpus: int = 1
    gpus: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Finalists:
    """Fresh seeds for the best networks and the picks, run by `stac finalists`."""

    top: int = 10
    seeds: tuple[int, ...] = (100, 101, 102, 103, 104)


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
        max_attempts: how often a crashing cell is tried before it is given up.
    """

    name: str
    space: Space
    protocol: Protocol
    seeds: tuple[int, ...] = (0,)
    strategy: Exhaustive | Sampled = field(default_factory=Exhaustive)
    objectives: tuple[Objective, ...] = (Objective(),)
    resources: Resources = field(default_factory=Resources)
    finalists: Finalists = field(default_factory=Finalists)
    primary_rule: str = "R2+R5"
    margin: float = 0.003
    max_attempts: int = 3

    def to_json(self) -> str:
        """Canonical JSON."""
        return json.dumps(_ADAPTER.dump_python(self, mode="json"), sort_keys=True, indent=1)

    @property
    def study_id(self) -> str:
        """16 hex digits; equal for equal studies."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]


_ADAPTER = TypeAdapter(Study)  # pydantic stands at the JSON boundary only


def study_from_json(text: str | bytes, *, source: str) -> Study:
    """Read a study back.

    Args:
        text: what `Study.to_json` gave.
        source: file name, for the error.

    Raises:
        ValueError: file, field, rule and value.
    """
    try:
        study = _ADAPTER.validate_json(text)
    except ValidationError as error:
        raise ValueError(f"{source}: {_first(error)}") from None
    unknown = _unknown_field(json.loads(text), json.loads(study.to_json()), path="")
    if unknown:
        raise ValueError(f"{source}: {unknown}: no such field")
    return study


def first_difference(old: Study, new: Study) -> str | None:
    """The first field in which two studies differ, as `path: old -> new`, or None."""
    return _difference(json.loads(old.to_json()), json.loads(new.to_json()), path="")


def _difference(old: Any, new: Any, *, path: str) -> str | None:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            found = _difference(old.get(key), new.get(key), path=f"{path}.{key}" if path else key)
            if found:
                return found
        return None
    return None if old == new else f"{path}: {old} -> {new}"


def _unknown_field(given: Any, known: Any, *, path: str) -> str | None:
    """The first field that was given but that reading dropped."""
    if isinstance(given, list) and isinstance(known, list):
        pairs = [(f"{path}[{i}]", g, k) for i, (g, k) in enumerate(zip(given, known, strict=False))]
    elif isinstance(given, dict) and isinstance(known, dict):
        names = {key: f"{path}.{key}" if path else key for key in given}
        missing = [names[key] for key in given if key not in known]
        if missing:
            return missing[0]
        pairs = [(names[key], given[key], known[key]) for key in given]
    else:
        return None
    found = (_unknown_field(g, k, path=name) for name, g, k in pairs)
    return next((name for name in found if name), None)


def _first(error: ValidationError) -> str:
    """Field, rule and value of the first fault; our own errors have said the value already."""
    detail = error.errors()[0]
    where = ".".join(str(part) for part in detail["loc"]) or "study"
    if detail["type"] == "value_error":
        return f"{where}: {detail['msg'].removeprefix('Value error, ')}"
    return f"{where}: {detail['msg']}, got {detail['input']!r}"
