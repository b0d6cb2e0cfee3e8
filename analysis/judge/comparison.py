"""The result of a comparison as plain frozen values: what `stac compare --json` prints."""

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

from analysis.judge.agreement import Interval

Ranking = Literal["predicts", "no better than chance", "misleads", "undecided"]
Choice = Literal["competitive", "worse", "undecided"]


@dataclass(frozen=True, kw_only=True)
class Network:
    """One network of the study and how it did. Accuracies are shares, on seeds B.

    Args:
        scales: cells per side per stage, 0 for no attention.
        accuracy: mean with 95 % interval over seeds B; value NaN if it was not trained.
    """

    label: str
    network_id: str
    scales: tuple[int, ...]
    params: float
    macs: float
    accuracy: Interval


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """A paired difference in accuracy between two networks on seeds B.

    Args:
        difference: first minus second, share, with t interval.
        effect_size: Cohen's d of the pairs.
        equivalence_p: TOST with the study's margin.
    """

    label: str
    difference: Interval
    effect_size: float
    equivalence_p: float


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What may be said about a predictor, or why not.

    Args:
        ranking: whether its scores rank networks.
        choice: whether its pick is competitive with the best found (within the margin).
        seeds_needed: per network on side B, for 80 % power at the margin; null if unknown.
        reason: one sentence.
    """

    ranking: Ranking
    choice: Choice
    seeds_needed: int | None
    reason: str


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One predictor against the results.

    Args:
        network: its pick; family and seen: see analysis.predict.picks.
        regret: accuracy of the best (selected on seeds A) minus the pick's, paired on seeds B.
        normalised_regret: regret / (best - mean of all networks).
        percentile: share of networks that the pick is at least as good as, on seeds B, percent.
        tied: whether the regret's interval holds 0.
        trials_to_match: random trials expected to find something as good as the pick.
        tau: Kendall's tau-b of scores and accuracy on B, jackknife interval over seeds.
        tau_p: two-sided, scores dealt at random; tau_p_random_map: a random value for each scale
            of each stage instead, as any additive rule would give; the larger one counts.
        tau_within_macs: tau among networks of like MACs.
        top_overlap: share of the best tenth of networks among the tenth scored best.
        hypervolume_ratio, epsilon: of the predicted front's networks against the true frontier,
            per cost (macs, params, latency).
        cost_s: device seconds of the prediction, vanilla training included.
        cost_ratio: the search's device seconds over cost_s.
        break_even_trials: trainings that cost as much as the prediction.
        equivalence_p: TOST on the regret; *_holm: adjusted over all secondary predictors.
        effect_size: Cohen's d of the regret.
    """

    name: str
    family: str
    seen: str | None
    network: Network
    regret: Interval
    normalised_regret: float
    percentile: Interval
    tied: bool | None
    trials_to_match: float
    tau: Interval
    tau_p: float
    tau_p_random_map: float
    tau_p_holm: float
    spearman: float
    tau_within_macs: float
    top_overlap: float
    hypervolume_ratio: dict[str, float]
    epsilon: dict[str, float]
    cost_s: float
    cost_ratio: float
    break_even_trials: float
    equivalence_p: float
    equivalence_p_holm: float
    effect_size: float
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class Front:
    """A true frontier: networks selected on seeds A, accuracies on seeds B.

    Args:
        cost: macs, params or latency.
        unit: of the cost.
        reference: worst point that counts, (cost, accuracy), fixed by the space alone.
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
        noise_ceiling: tau that a perfect predictor could reach at this many seeds.
        cloud: every trained network.
        best, vanilla: networks; contrasts: the pick against others.
        judged: all predictors, the primary first.
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
    judged: tuple[Judged, ...]
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
        return plain(asdict(self))

    def to_json(self) -> str:
        """As text."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)


def plain(value: Any) -> Any:
    """JSON values of nested dataclass dictionaries."""
    match value:
        case Interval():
            return plain(value._asdict())
        case dict():
            return {key: plain(inner) for key, inner in value.items()}
        case tuple() | list():
            return [plain(inner) for inner in value]
        case float() if value != value or value in (float("inf"), float("-inf")):
            return None
        case _:
            return value
