"""The result of a comparison as plain frozen values: what `stac compare --json` prints."""

import json
import math
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from analysis.judge.agreement import Interval
from analysis.judge.judged import Contrast, Judged, Network


@dataclass(frozen=True, kw_only=True)
class Front:
    """A true frontier: networks selected on seeds A, accuracies on seeds B.

    Args:
        cost: macs, params or latency.
        unit: of the cost.
        reference: worst point that counts: the dearest network's cost, and vanilla's accuracy
            (chance where vanilla is not trained).
        hypervolume: area from there, in unit times share.
        network_ids, costs, accuracies: its points, cheapest first.
    """

    cost: str
    unit: str
    reference: tuple[float, float]
    hypervolume: float
    network_ids: tuple[str, ...]
    costs: tuple[float, ...]
    accuracies: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class RandomPick:
    """What a random network gives, exact by enumeration over all trained networks."""

    regret: float
    percentile: float
    accuracy: float
    accuracy_sd: float


@dataclass(frozen=True, kw_only=True)
class EqualCost:
    """What the best of random trainings reaches for the price of the prediction, on average."""

    trainings: int
    accuracy: float


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Device seconds of both sides; `cells` are the trainings of the search."""

    search_s: float
    cells: int
    vanilla_s: float
    look_s: float

    @property
    def prediction_s(self) -> float:
        """Vanilla training, forward passes and neighbours."""
        return self.vanilla_s + self.look_s


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """Every trained network, accuracy on seeds B."""

    network_ids: tuple[str, ...]
    macs: tuple[float, ...]
    accuracies: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Everything about one study.

    Args:
        metric: the accuracy that is judged: test, or validation where there is no test.
        seeds_a, seeds_b: A selects the best, B measures.
        networks, planned_cells: how much there would be, were the study finished.
        margin: of equivalence, share.
        seed_sd: standard deviation of a paired difference, pooled over networks, share.
        noise_ceiling: tau that a perfect predictor would reach at this many seeds, from the
            agreement of two halves of them.
        cloud: every trained network.
        best, vanilla: networks; contrasts: the pick against others.
        judged: all predictors, the primary first.
        equal_cost: null where the prediction costs less than half a training.
        diverged: networks of which a training diverged: it counts as chance, and they are not best.
        test_images, image_groups: how many the errors allow for; null where they are seeds' alone.
        missing: sentences about what could not be computed.
    """

    study: str
    study_id: str
    space_id: str
    protocol_id: str
    metric: str
    primary_rule: str
    margin: float
    seeds_a: tuple[int, ...]
    seeds_b: tuple[int, ...]
    networks: int
    planned_cells: int
    seed_sd: float
    noise_ceiling: Interval
    cloud: Cloud
    best: Network
    vanilla: Network | None
    random: RandomPick
    equal_cost: EqualCost | None
    judged: tuple[Judged, ...]
    diverged: tuple[str, ...]
    test_images: int | None
    image_groups: int | None
    contrasts: tuple[Contrast, ...]
    fronts: tuple[Front, ...]
    costs: Costs
    missing: tuple[str, ...]

    @property
    def trained(self) -> int:
        """Number of networks with an accuracy on seeds B."""
        return len(self.cloud.network_ids)

    @property
    def primary(self) -> Judged:
        """The predictor that was fixed before the search."""
        return self.judged[0]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; NaN becomes null, intervals become named."""
        return plain(self)

    def to_json(self) -> str:
        """As text."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)


def plain(value: Any) -> Any:
    """JSON values of nested dataclasses and dictionaries of them."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case Interval():
            return plain(value._asdict())
        case dict():
            return {key: plain(inner) for key, inner in value.items()}
        case tuple() | list():
            return [plain(inner) for inner in value]
        case _ if is_dataclass(value):
            return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
        case _:
            return value
