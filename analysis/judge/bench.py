"""The bench on which every predictor of a study is judged: seeds that select, seeds that measure.

Shapes: N networks, S seeds, A and B seeds of either side, T stages.
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from analysis.judge import agreement
from analysis.judge.agreement import mean_over_seeds
from analysis.judge.answers import Answers
from analysis.judge.comparison import Front
from analysis.judge.errors import Measured, measured
from analysis.judge.frontier import Reference, frontier, hypervolume
from analysis.judge.judged import Contrast, Network
from analysis.judge.nulls import Nulls
from analysis.judge.redrawn import redrawn_accuracy, tau_spread
from analysis.judge.results import Results
from search.store.own import best_first
from search.study.networks import Networks
from search.study.seeds import split_seeds
from search.study.study import Study

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Bench:
    """What every predictor is judged on.

    Args:
        results: all trained networks.
        select_NA: validation accuracy on seeds A, selects the best.
        measure_NB: accuracy on seeds B, ranks all networks.
        paired_NB: the same with the finalists' fresh seeds beside it, for paired differences.
        cells_NT: scale per stage, 0 for none.
        among: the same networks in their space, if there is one.
        margin: of equivalence, share.
        chance: accuracy of guessing.
        vanilla: row of the network without attention, if it is there.
        answers: right answers per test image, where they are stored.
        paired_columns, measure_columns: seeds of `results` that paired_NB and measure_NB hold;
            needed beside `answers`.
        seed: of random maps and deals.
    """

    results: Results
    select_NA: Floats
    measure_NB: Floats
    paired_NB: Floats
    cells_NT: NDArray[np.int64]
    margin: float
    chance: float
    num_seeds: int
    among: Networks | None = None
    vanilla: int | None = None
    answers: Answers | None = None
    paired_columns: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    measure_columns: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
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

        A network of which a training diverged is not handed over, as long as there are others.

        Raises:
            ValueError: nothing was trained.
        """
        both = np.isfinite(self.select_N) & np.isfinite(self.measure_N)
        if not both.any():
            raise ValueError("a comparison needs at least one trained network, got none")
        sound = both & self.results.is_sound_N
        among = sound if sound.any() else both
        return int(best_first(np.where(among, self.select_N, np.nan), self.results.macs_N)[0])

    @cached_property
    def paired_sd(self) -> float:
        """Of a paired difference between two networks, pooled over sound ones and all seeds."""
        return agreement.paired_sd(self.results.test_NS[self.results.is_sound_N])

    @cached_property
    def nulls(self) -> Nulls:
        """What a predictor that knows nothing reaches here."""
        return Nulls(self.cells_NT, self.measure_N, self.among, self.seed)

    @cached_property
    def redrawn_NM(self) -> Floats | None:
        """Accuracy on B of `nulls.rows`, test images drawn anew; None where it is not known."""
        if self.answers is None:
            return None
        return redrawn_accuracy(self.answers, self.nulls.rows, self.measure_columns)

    def tau_spread(self, score_N: Floats) -> float:
        """SD of a predictor's tau with the test images drawn anew; 0 where it is not known."""
        if self.redrawn_NM is None:
            return 0.0
        return tau_spread(score_N[self.nulls.rows], self.redrawn_NM)

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
        floor = np.nan if self.vanilla is None else float(self.measure_N[self.vanilla])
        worst = self.chance if np.isnan(floor) else floor
        reference = Reference(float(np.nanmax(cost_N)), worst)
        known_N = np.isfinite(self.measure_N) & self.results.is_sound_N
        at = frontier(cost_N, np.where(known_N, self.select_N, np.nan))
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
            accuracy=self._measured(self.paired_NB[row], row).interval,
        )

    def contrast(self, label: str, first: int, second: int) -> Contrast:
        """Paired difference on B."""
        difference_B = self.paired_NB[first] - self.paired_NB[second]
        found = self._measured(difference_B, first, second)
        return Contrast(
            label=label,
            difference=found.interval,
            effect_size=agreement.effect_size(difference_B),
            equivalence_p=found.equivalence_p(self.margin),
            within_p=found.above_p(self.margin),
            loss_p=found.below_p(0.0),
            images_width=found.images_width,
        )

    def bound(self, row: int) -> float:
        """How far the best network of all can be above this one, 95 %; NaN with one seed.

        The best found was chosen among many on few seeds and need not be the best. The largest
        difference as measured, plus one error, is at least the true one with that probability.
        """
        ahead_N = np.where(self.results.is_sound_N, self.measure_N - self.measure_N[row], np.nan)
        count = self.measure_NB.shape[1]
        if np.isnan(self.paired_sd) or np.isnan(self.measure_N[row]):
            return float("nan")
        first = self.best if np.isnan(ahead_N).all() else int(np.nanargmax(ahead_N))
        difference_B = self.paired_NB[first] - self.paired_NB[row]
        pooled = Measured(
            value=float(ahead_N[first]),
            num_seeds=len(self.measure_N)
            * count,  # sd is pooled over networks: t is all but normal
            seeds_var=self.paired_sd**2 / count,
            images_var=self._measured(difference_B, first, row).images_var,
        )
        return max(0.0, pooled.value + pooled.half_width(1 - agreement.LEVEL))

    def _measured(self, values_B: Floats, row: int, other: int | None = None) -> Measured:
        """Mean over seeds B, with the test images' error where every right answer is stored."""
        answers, columns = self.answers, self.paired_columns[np.isfinite(values_B)]
        if answers is None or not len(columns):
            return measured(values_B)
        right_BI = answers.right(row, columns)
        if right_BI is None or other is None:
            return measured(values_B, right_BI, answers.groups_I)
        other_BI = answers.right(other, columns)
        difference_BI = None if other_BI is None else right_BI - other_BI
        return measured(values_B, difference_BI, answers.groups_I)


def make_bench(
    study: Study, among: Networks, results: Results, answers: Answers | None = None
) -> Bench:
    """What every predictor of this study is judged on."""
    seeds_a, seeds_b, fresh = split_seeds(study.seeds, results.seeds)
    column = {seed: index for index, seed in enumerate(results.seeds)}
    paired = seeds_b + fresh if seeds_b != seeds_a or not fresh else fresh
    columns = np.array([column[seed] for seed in paired], np.int64)
    return Bench(
        results=results,
        select_NA=results.val_NS[:, [column[s] for s in seeds_a]],
        measure_NB=results.test_NS[:, [column[s] for s in seeds_b]],
        paired_NB=results.test_NS[:, columns],
        cells_NT=among.cells_NT,
        margin=study.margin,
        chance=1 / study.space.base.classes,
        num_seeds=len(results.seeds),
        among=among,
        vanilla=results.row.get(study.space.base.network_id),
        answers=answers,
        paired_columns=columns,
        measure_columns=np.array([column[seed] for seed in seeds_b], np.int64),
    )
