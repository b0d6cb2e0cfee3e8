"""A training, the unit of work: one network, one protocol, one seed; a job is an attempt at it."""

import json
from dataclasses import dataclass
from functools import cached_property

from search.study.ends import End
from stacnet.spec import NetworkSpec, spec_from_dict

Key = tuple[str, str, int]  # network, protocol, seed


def id_of(key: Key) -> str:
    """A training's key as one word; names parts, checkpoints and weights."""
    return "-".join(map(str, key))


@dataclass(frozen=True, kw_only=True)
class Training:
    """One network, trained in one way from one seed.

    Args:
        spec: the network.
        protocol_id: of the recipe.
        seed: of initialisation and data order.
        point: index of the network in the study's space; None outside of it.
        suggested_by: what asked for it.
    """

    spec: NetworkSpec
    protocol_id: str
    seed: int
    point: int | None = None
    suggested_by: str = "exhaustive"

    @cached_property
    def network_id(self) -> str:
        """16 hex digits."""
        return self.spec.network_id

    @property
    def key(self) -> Key:
        """Network, protocol, seed."""
        return (self.network_id, self.protocol_id, self.seed)

    @property
    def training_id(self) -> str:
        """The key as one word."""
        return id_of(self.key)


@dataclass(frozen=True, kw_only=True)
class Job:
    """One attempt at a training, as a driver hands it to a worker.

    Args:
        training: what to train.
        attempt: number of this attempt, from 0.
        order: how many jobs the study handed out before.
        gpus: share of a GPU, raised after an out-of-memory.
        prunable: whether a scheduler may stop it; each epoch is then reported by itself.
        lease: owner of the lease under which it was handed out; empty in older stores.
    """

    training: Training
    attempt: int
    order: int
    gpus: float
    prunable: bool = False
    lease: str = ""

    @property
    def part(self) -> str:
        """Name of the attempt's files, without ending: no two drivers ever write the same one."""
        return f"{self.training.training_id}-{self.attempt}" + (
            f"-{self.lease}" if self.lease else ""
        )

    def to_json(self) -> str:
        """Plain text for the way to the worker."""
        plain = {key: value for key, value in vars(self).items() if key != "training"}
        training = vars(self.training) | {"spec": self.training.spec.to_dict()}
        return json.dumps(
            plain | {"training": {k: v for k, v in training.items() if k != "network_id"}}
        )

    @classmethod
    def from_json(cls, text: str) -> "Job":
        """Inverse of `to_json`."""
        plain = json.loads(text)
        training = plain.pop("training")
        spec = spec_from_dict(training.pop("spec"))
        return cls(training=Training(spec=spec, **training), **plain)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a training ended, as far as a strategy wants to know.

    Args:
        status: of its last attempt.
        values: metric -> value; a metric that was not reached is missing.
        curve: validation accuracy of each epoch, share.
    """

    status: End
    values: dict[str, float]
    curve: tuple[float, ...] = ()
