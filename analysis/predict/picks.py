"""picks.json: what each predictor would train, with its score for every network of the space."""

import json
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, TypeAdapter, ValidationError

from analysis.predict.rules import best_candidate
from search.store.sealed import seal, unseal
from search.study.networks import Networks

FEWEST_SCORES = 3  # that rank anything
Family = Literal["rule", "control", "map", "reference", "cost", "proxy", "training"]


@dataclass(frozen=True, kw_only=True)
class Pick:
    """One predictor's choice.

    Args:
        name: of the predictor; rules are R1 ... R7, on a control "R2+R5 on pixels".
        family: `rule` on the trained map; `control`; `map`, the primary rule on another estimator;
            `reference` (SE everywhere, uniform scales); `cost`; zero-cost `proxy`; `training`,
            which has seen training results.
        point: of the pick in the study's space.
        network_id, spec: the pick.
        scores: per network of `Picks.network_ids`, higher is better; null where not computed.
        cost_s: what making the prediction cost, training of vanilla networks included, device
            seconds.
        noise: SD of a score between seeds of initialisation, beside what such a seed does to all;
            null where a score depends on none.
        frontier_seen: hash of the results it was allowed to see; none by default.
        probability: share of draws of probe images and vanilla networks in which a rule picks the
            same network; null where nothing was drawn.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: str
    family: Family
    point: int
    network_id: str
    spec: dict[str, Any]
    scores: tuple[float | None, ...]
    cost_s: float
    noise: float | None = None
    frontier_seen: str | None = None
    probability: float | None = None

    @property
    def is_blind(self) -> bool:
        """Whether it cannot tell networks apart: fewer than 3 scores, or all within their noise."""
        known = [score for score in self.scores if score is not None]
        return len(set(known)) < FEWEST_SCORES or (
            self.noise is not None and float(np.std(known)) <= self.noise
        )


@dataclass(frozen=True, kw_only=True)
class Picks:
    """All predictions about one space.

    Args:
        space_id, study_id, protocol_id: hashes of what they are about.
        primary_rule: fixed in the study.
        weights: trainings whose vanilla weights were looked at.
        network_ids: the distinct networks of the space, the order of all scores.
        vanilla_s: device seconds of training those vanilla networks.
        look_s: seconds of the forward passes and neighbours, controls included.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    space_id: str
    study_id: str
    protocol_id: str
    primary_rule: str
    weights: tuple[str, ...]
    network_ids: tuple[str, ...]
    vanilla_s: float
    look_s: float
    picks: tuple[Pick, ...]

    def to_json(self) -> str:
        """JSON with a checksum."""
        return seal(_ADAPTER.dump_python(self, mode="json"))

    def find(self, name: str) -> Pick | None:
        """The pick of that name."""
        return next((pick for pick in self.picks if pick.name == name), None)


_ADAPTER = TypeAdapter(Picks)  # pydantic stands at the JSON boundary only


def make_pick(
    name: str,
    family: Family,
    score_N: NDArray[np.float64],
    among: Networks,
    *,
    cost_s: float,
) -> Pick:
    """The best-scored candidate (see `best_candidate`), with all scores; NaN becomes null."""
    best = best_candidate(score_N, among)
    return Pick(
        name=name,
        family=family,
        point=among.points[best],
        network_id=among.network_ids[best],
        spec=json.loads(json.dumps(among.specs[best].to_dict())),
        scores=tuple(None if np.isnan(s) else float(s) for s in score_N),
        cost_s=cost_s,
    )


def picks_from_json(text: str | bytes, *, source: str) -> Picks:
    """Read picks back.

    Args:
        source: file name, for the error.

    Raises:
        ValueError: file, field, rule and value.
    """
    try:
        return _ADAPTER.validate_python(unseal(text, source=source))
    except ValidationError as error:
        detail = error.errors()[0]
        field = ".".join(map(str, detail["loc"])) or "picks"
        raise ValueError(
            f"{source}: {field}: {detail['msg']}, got {str(detail['input'])[:80]!r}"
        ) from None


def check_picks(picks: Picks, *, space_id: str, among: Networks, source: str) -> None:
    """Refuse picks that do not belong to this space, or that have seen its results.

    Raises:
        ValueError: file, field, rule and value.
    """
    if picks.space_id != space_id:
        raise ValueError(
            f"{source}: space_id: picks must be made on the study's own space {space_id}, "
            f"got {picks.space_id}"
        )
    if picks.network_ids != among.network_ids:
        raise ValueError(
            f"{source}: network_ids: must be the {len(among)} distinct networks of the space in "
            f"order, got {len(picks.network_ids)} that differ"
        )
    for pick in picks.picks:
        _check_pick(pick, among, source=source)


def _check_pick(pick: Pick, among: Networks, *, source: str) -> None:
    where = f"{source}: picks[{pick.name}]"
    if among.point(pick.network_id) != pick.point:
        raise ValueError(
            f"{where}.network_id: must be the network of point {pick.point}, got {pick.network_id}"
        )
    if len(pick.scores) != len(among):
        raise ValueError(
            f"{where}.scores: must hold one score for each of {len(among)} networks, "
            f"got {len(pick.scores)}"
        )
    if pick.frontier_seen is not None:
        raise ValueError(
            f"{where}.frontier_seen: a prediction must not have seen the results it is judged on, "
            f"got {pick.frontier_seen}"
        )
