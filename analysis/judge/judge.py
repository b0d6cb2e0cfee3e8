"""One predictor against the results: regret, rank agreement, predicted front, cost.

Shapes: N networks, B and A seeds of either side, M random maps.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.judge import agreement, ranks
from analysis.judge.agreement import Interval, holm
from analysis.judge.bench import Bench
from analysis.judge.frontier import Reference, additive_epsilon, frontier, hypervolume
from analysis.judge.judged import Judged, Verdict
from analysis.judge.random_search import trials_to_match
from analysis.judge.verdict import ALPHA, Evidence, verdict
from analysis.predict.picks import Pick

Floats = NDArray[np.float64]
TOP = 0.1  # share of networks whose overlap is counted
UNJUDGED = Verdict(ranking="undecided", choice="undecided", seeds_needed=None, reason="")


def judge(
    bench: Bench, pick: Pick, *, search_s: float, trial_s: float, level: float = ALPHA
) -> Judged:
    """Everything about one predictor as if it were the only one; see `corrected`.

    Args:
        search_s: device seconds of the whole search; trial_s: of a mean training.
        level: at which its ranks are told apart.
    """
    row = bench.results.row[pick.network_id]
    score_N = np.array([np.nan if s is None else s for s in pick.scores])
    loss = bench.contrast(pick.name, bench.best, row)
    tied = _highest(score_N)
    found = Judged(
        name=pick.name,
        family=pick.family,
        seen=pick.frontier_seen,
        network=bench.network(row, pick.name),
        is_blind=pick.is_blind,
        pick_probability=pick.probability,
        regret=loss.difference,
        regret_bound=bench.bound(row),
        tied_picks=len(tied),
        regret_over_ties=_mean(bench.measure_N[bench.best] - bench.measure_N[tied]),
        normalised_regret=_normalised(bench, loss.difference.value),
        percentile=agreement.percentile(bench.measure_NB, row),
        tied=_holds_zero(loss.difference),
        trials_to_match=trials_to_match(bench.measure_N, bench.measure_N[row]),
        **_ranks(bench, score_N, level=level),
        hypervolume_ratio={c: _hypervolume_ratio(bench, score_N, c) for c in bench.fronts},
        epsilon={c: _epsilon(bench, score_N, c) for c in bench.fronts},
        cost_s=pick.cost_s,
        cost_ratio=search_s / pick.cost_s if pick.cost_s else float("nan"),
        break_even_trials=pick.cost_s / trial_s if trial_s else float("nan"),
        equivalence_p=loss.equivalence_p,
        equivalence_p_holm=float("nan"),
        within_p=loss.within_p,
        within_p_holm=float("nan"),
        loss_p=loss.loss_p,
        loss_p_holm=float("nan"),
        effect_size=loss.effect_size,
        images_width=loss.images_width,
        verdict=UNJUDGED,
    )
    return replace(found, verdict=_verdict(bench, found))


def _ranks(bench: Bench, score_N: Floats, *, level: float) -> dict[str, Any]:
    """How the scores rank networks, and how far from what knows nothing."""
    top = max(1, round(TOP * len(score_N)))
    return {
        "tau": ranks.tau_interval(score_N, bench.measure_NB, images_sd=bench.tau_spread(score_N)),
        "tau_p": ranks.tau_p(score_N, bench.measure_N),
        "tau_p_random_map": bench.nulls.random_map_p(score_N),
        "tau_p_dealt": bench.nulls.dealt_p(score_N),
        "tau_p_on_scales": bench.nulls.on_scales_p(score_N),
        "tau_p_holm": float("nan"),
        "tau_needed": bench.nulls.needed(score_N, level),
        "spearman": ranks.spearman(score_N, bench.measure_N),
        "fidelity": ranks.fidelity(score_N, bench.measure_N),
        "tau_within_macs": ranks.tau_within(score_N, bench.measure_N, bench.results.macs_N),
        "top_overlap": ranks.top_overlap(score_N, bench.measure_N, k=top),
    }


def corrected(bench: Bench, secondary: Sequence[Judged]) -> list[Judged]:
    """Holm over the secondary predictors: in their p-values, and in the words that rest on them."""
    ranking = holm([one.ranking_p for one in secondary])
    kinds = ("equivalence_p", "within_p", "loss_p")
    choices = [holm([getattr(one, kind) for one in secondary]) for kind in kinds]
    made = []
    for one, tau_p, *choice in zip(secondary, ranking, *choices, strict=True):
        p = dict(zip(kinds, choice, strict=True))
        adjusted = {f"{kind}_holm": value for kind, value in p.items()}
        one = replace(one, tau_p_holm=tau_p, **adjusted)
        made.append(replace(one, verdict=_verdict(bench, replace(one, **p), ranking_p=tau_p)))
    return made


def _verdict(bench: Bench, one: Judged, *, ranking_p: float | None = None) -> Verdict:
    return verdict(
        Evidence(
            tau=one.tau.value,
            ranking_p=one.ranking_p if ranking_p is None else ranking_p,
            regret=one.regret,
            equivalence_p=one.equivalence_p,
            within_p=one.within_p,
            loss_p=one.loss_p,
            images_width=one.images_width,
            sd=bench.paired_sd,
            margin=bench.margin,
            num_seeds=bench.num_seeds,
        )
    )


def _highest(score_N: Floats) -> NDArray[np.int64]:
    """The networks with the highest score."""
    if not np.isfinite(score_N).any():
        return np.zeros(0, np.int64)
    return np.flatnonzero(np.isclose(score_N, np.nanmax(score_N), rtol=0, atol=1e-12))


def _mean(value_N: Floats) -> float:
    known_N = value_N[np.isfinite(value_N)]
    return float(known_N.mean()) if len(known_N) else float("nan")


def _normalised(bench: Bench, regret: float) -> float:
    """Blank where nothing is to be gained: there it would be noise over noise."""
    best_B, count_B = bench.measure_NB[bench.best], np.isfinite(bench.measure_NB).sum(0)
    gain_B = best_B - np.nansum(bench.measure_NB, axis=0) / np.maximum(count_B, 1)
    gain = agreement.mean_interval(gain_B)
    nothing = not gain.value > bench.margin or gain.low <= 0
    return float("nan") if nothing else regret / gain.value


def _holds_zero(interval: Interval) -> bool | None:
    return None if np.isnan(interval.low) else interval.low <= 0 <= interval.high


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
