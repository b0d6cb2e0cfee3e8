"""One predictor against the results: regret, rank agreement, predicted front, cost.

Shapes: N networks, B and A seeds of either side, M random maps.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from analysis import agreement
from analysis.agreement import Interval, mean_interval, mean_over_seeds
from analysis.comparison import Contrast, Front, Judged, Network
from analysis.frontier import Reference, additive_epsilon, frontier, hypervolume
from analysis.picks import Pick
from analysis.results import Results
from analysis.verdict import verdict

Floats = NDArray[np.float64]
RANDOM_MAPS = 500
MOST_RANKED = 2000  # networks that random maps are ranked on
TOP = 0.1


@dataclass(frozen=True, eq=False)
class Bench:
    """What every predictor is judged on.

    Args:
        results: all trained networks.
        select_NA: validation accuracy on seeds A, selects the best.
        measure_NB: accuracy on seeds B, ranks all networks.
        paired_NB: the same with the finalists' fresh seeds beside it, for paired differences.
        cells_NT: scale per stage, 0 for none.
        margin: of equivalence, share.
        chance: accuracy of guessing.
        seed: of random maps.
    """

    results: Results
    select_NA: Floats
    measure_NB: Floats
    paired_NB: Floats
    cells_NT: NDArray[np.int64]
    margin: float
    chance: float
    num_seeds: int
    seed: int = 0

    @cached_property
    def select_N(self) -> Floats:
        """Mean over seeds A."""
        return mean_over_seeds(self.select_NA)

    @cached_property
    def measure_N(self) -> Floats:
        """Mean over seeds B."""
        return mean_over_seeds(self.measure_NB)

    @cached_property
    def best(self) -> int:
        """The network a search would hand over: the best on A; ties go to fewer MACs.

        Raises:
            ValueError: nothing was trained.
        """
        both = np.isfinite(self.select_N) & np.isfinite(self.measure_N)
        if not both.any():
            raise ValueError("a comparison needs at least one trained network, got none")
        selected = np.where(both, self.select_N, -np.inf)
        return int(np.lexsort((self.results.macs_N, -selected))[0])

    @cached_property
    def paired_sd(self) -> float:
        """Of a paired difference between two networks, pooled over networks and all seeds."""
        return agreement.paired_sd(self.results.test_NS)

    @cached_property
    def tau_of_random_maps_M(self) -> Floats:
        """|tau| with B of random additive maps: independent values for each scale of each stage."""
        rng = np.random.default_rng(self.seed)
        trained = np.flatnonzero(np.isfinite(self.measure_N))
        rows = rng.permutation(trained)[:MOST_RANKED]
        cells_NT, measure_N = self.cells_NT[rows], self.measure_N[rows]
        codes = [np.unique(column, return_inverse=True)[1] for column in cells_NT.T]
        found = [
            agreement.tau(
                sum((rng.standard_normal(c.max() + 1)[c] for c in codes), np.zeros(len(rows))),
                measure_N,
            )
            for _ in range(RANDOM_MAPS if len(rows) > 1 else 0)
        ]
        return np.abs(np.array(found))

    def costs(self) -> dict[str, tuple[Floats, str]]:
        """Costs with a frontier of their own, and their units; latency only where measured."""
        results = self.results
        found = {"macs": (results.macs_N, "MACs"), "params": (results.params_N, "parameters")}
        if np.isfinite(results.latency_N).any():
            found["latency"] = (results.latency_N, "s per image")
        return found

    def front(self, cost: str) -> Front:
        """The true frontier: selected on A, measured on B."""
        cost_N, unit = self.costs()[cost]
        reference = Reference(float(np.nanmax(cost_N)), self.chance)
        at = frontier(cost_N, np.where(np.isfinite(self.measure_N), self.select_N, np.nan))
        costs, accuracies = cost_N[at], self.measure_N[at]
        return Front(
            cost=cost,
            unit=unit,
            reference=(reference.cost, reference.accuracy),
            hypervolume=hypervolume(costs, accuracies, reference),
            network_ids=tuple(self.results.network_ids[i] for i in at),
            costs=tuple(costs.tolist()),
            accuracies=tuple(accuracies.tolist()),
        )

    @cached_property
    def fronts(self) -> dict[str, Front]:
        """All true frontiers."""
        return {cost: self.front(cost) for cost in self.costs()}

    def network(self, row: int, label: str) -> Network:
        """A network with its accuracy on B."""
        return Network(
            label=label,
            network_id=self.results.network_ids[row],
            scales=tuple(self.cells_NT[row].tolist()),
            params=float(self.results.params_N[row]),
            macs=float(self.results.macs_N[row]),
            accuracy=mean_interval(self.paired_NB[row]),
        )

    def contrast(self, label: str, first: int, second: int) -> Contrast:
        """Paired difference on B."""
        difference_B = self.paired_NB[first] - self.paired_NB[second]
        return Contrast(
            label=label,
            difference=mean_interval(difference_B),
            effect_size=agreement.effect_size(difference_B),
            equivalence_p=agreement.equivalence_p(difference_B, margin=self.margin),
        )


def judge(bench: Bench, pick: Pick, *, search_s: float, trial_s: float) -> Judged:
    """Everything about one predictor; Holm's p-values are filled in later.

    Args:
        search_s: device seconds of the whole search; trial_s: of a mean training.
    """
    row = bench.results.row[pick.network_id]
    score_N = np.array([np.nan if s is None else s for s in pick.scores])
    loss = bench.contrast(pick.name, bench.best, row)
    tau = agreement.tau_interval(score_N, bench.measure_NB)
    tau_p = agreement.tau_p(score_N, bench.measure_N)
    map_p = _random_map_p(bench, tau.value)
    return Judged(
        name=pick.name,
        family=pick.family,
        seen=pick.frontier_seen,
        network=bench.network(row, pick.name),
        regret=loss.difference,
        normalised_regret=_normalised(bench, loss.difference.value),
        percentile=percentile(bench.measure_NB, row),
        tied=_holds_zero(loss.difference),
        trials_to_match=agreement.trials_to_match(bench.measure_N, bench.measure_N[row]),
        tau=tau,
        tau_p=tau_p,
        tau_p_random_map=map_p,
        tau_p_holm=float("nan"),
        spearman=agreement.spearman(score_N, bench.measure_N),
        tau_within_macs=agreement.tau_within(score_N, bench.measure_N, bench.results.macs_N),
        top_overlap=agreement.top_overlap(
            score_N, bench.measure_N, k=max(1, round(TOP * len(score_N)))
        ),
        hypervolume_ratio={c: _hypervolume_ratio(bench, score_N, c) for c in bench.fronts},
        epsilon={c: _epsilon(bench, score_N, c) for c in bench.fronts},
        cost_s=pick.cost_s,
        cost_ratio=search_s / pick.cost_s if pick.cost_s else float("nan"),
        break_even_trials=pick.cost_s / trial_s if trial_s else float("nan"),
        equivalence_p=loss.equivalence_p,
        equivalence_p_holm=float("nan"),
        effect_size=loss.effect_size,
        verdict=verdict(
            tau=tau,
            ranking_p=float(np.fmax(tau_p, map_p)),
            regret=loss.difference,
            equivalence_p=loss.equivalence_p,
            sd=bench.paired_sd,
            margin=bench.margin,
            num_seeds=bench.num_seeds,
        ),
    )


def percentile(accuracy_NB: Floats, row: int) -> Interval:
    """Percent of networks that this one is at least as good as; interval over seeds B."""

    def at(accuracy_N: Floats) -> float:
        known_N = accuracy_N[np.isfinite(accuracy_N)]
        return float(100 * (known_N <= accuracy_N[row]).mean()) if len(known_N) else np.nan

    if not np.isfinite(accuracy_NB[row]).any():
        return Interval(np.nan, np.nan, np.nan, 0)
    per_seed = mean_interval(
        np.array([at(column) for column in accuracy_NB.T if np.isfinite(column[row])])
    )
    value = at(mean_over_seeds(accuracy_NB))
    return Interval(value, max(0.0, per_seed.low), min(100.0, per_seed.high), per_seed.n)


def _normalised(bench: Bench, regret: float) -> float:
    spread = float(bench.measure_N[bench.best] - np.nanmean(bench.measure_N))
    return regret / spread if spread else float("nan")


def _holds_zero(interval: Interval) -> bool | None:
    return None if np.isnan(interval.low) else interval.low <= 0 <= interval.high


def _random_map_p(bench: Bench, tau: float) -> float:
    null_M = bench.tau_of_random_maps_M
    if np.isnan(tau) or not len(null_M):
        return float("nan")
    return float((1 + (null_M >= abs(tau)).sum()) / (1 + len(null_M)))


def _predicted(bench: Bench, score_N: Floats, cost: str) -> NDArray[np.int64]:
    """The predicted front: networks on the frontier of (cost, score) that were trained."""
    trained_N = np.where(np.isfinite(bench.measure_N), score_N, np.nan)
    return frontier(bench.costs()[cost][0], trained_N)


def _hypervolume_ratio(bench: Bench, score_N: Floats, cost: str) -> float:
    front, at = bench.fronts[cost], _predicted(bench, score_N, cost)
    if not front.hypervolume or not len(at):
        return float("nan")
    cost_N = bench.costs()[cost][0]
    reached = hypervolume(cost_N[at], bench.measure_N[at], Reference(*front.reference))
    return reached / front.hypervolume


def _epsilon(bench: Bench, score_N: Floats, cost: str) -> float:
    front, at = bench.fronts[cost], _predicted(bench, score_N, cost)
    if not len(at) or not front.costs:
        return float("nan")
    return additive_epsilon(
        bench.costs()[cost][0][at],
        bench.measure_N[at],
        true_cost_F=np.array(front.costs),
        true_accuracy_F=np.array(front.accuracies),
    )
