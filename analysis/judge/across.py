"""Several data sets: do they rank placements alike, and does a fixed list do as well as a map?

A static ranker scores a network by its mean rank on the other data sets and looks at nothing; where
data sets rank alike, it is hard to beat, and a predictor that does well has shown little (arXiv
2510.06448). Shapes: D data sets, P placements of any of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from analysis.judge.agreement import mean_over_seeds
from analysis.judge.comparison import Comparison
from analysis.judge.ranks import tau
from search.study.networks import networks
from search.study.study import Study

Floats = NDArray[np.float64]
Placement = tuple[tuple[str, int | str] | None, ...]  # per stage: kind and scale; None for no gate
FEWEST = 3  # placements that two data sets share, to rank anything


@dataclass(frozen=True, kw_only=True)
class StaticRank:
    """The static ranker on one data set.

    Args:
        placements: that another data set has, too.
        scales: cells per side per stage of its pick, 0 for none.
        accuracy: of its pick; regret: of the best of these placements minus it. Shares.
        tau: of its scores; primary_tau: of the primary rule's on all networks, beside it.
    """

    study: str
    placements: int
    scales: tuple[int, ...]
    accuracy: float
    regret: float
    tau: float
    primary_tau: float


@dataclass(frozen=True, kw_only=True)
class Across:
    """What several data sets have in common.

    Args:
        agreement: mean tau between accuracies on two data sets over the placements that they share:
            1 where all rank alike; NaN where no two share enough.
    """

    agreement: float
    static: tuple[StaticRank, ...]


def across(studies: Sequence[tuple[Study, Comparison]]) -> Across:
    """The static ranker on each data set, and how alike they rank."""
    tables = [_accuracies(*one) for one in studies]
    places = sorted({place for table in tables for place in table}, key=repr)
    accuracy_DP = np.array([[table.get(place, np.nan) for place in places] for table in tables])
    taus = [
        tau(accuracy_DP[i], accuracy_DP[j])
        for i, j in combinations(range(len(tables)), 2)
        if np.isfinite(accuracy_DP[i] + accuracy_DP[j]).sum() >= FEWEST
    ]
    known = [value for value in taus if value == value]
    found = (_static(i, accuracy_DP, places, studies) for i in range(len(tables)))
    return Across(
        agreement=float(np.mean(known)) if known else float("nan"),
        static=tuple(one for one in found if one is not None),
    )


def _static(
    number: int,
    accuracy_DP: Floats,
    places: Sequence[Placement],
    studies: Sequence[tuple[Study, Comparison]],
) -> StaticRank | None:
    """None where too few of its placements stand in another data set."""
    others = np.delete(accuracy_DP, number, axis=0)
    if not len(others):
        return None
    rank_DP = np.stack(list(map(_ranks, others)))
    score_P = mean_over_seeds(rank_DP.T)  # the mean of those that are there
    accuracy_P = accuracy_DP[number]
    both_P = np.isfinite(score_P) & np.isfinite(accuracy_P)
    if both_P.sum() < FEWEST:
        return None
    pick = int(np.nanargmax(np.where(both_P, score_P, np.nan)))
    study, comparison = studies[number]
    return StaticRank(
        study=study.name,
        placements=int(both_P.sum()),
        scales=_cells(places[pick], study),
        accuracy=float(accuracy_P[pick]),
        regret=float(accuracy_P[both_P].max() - accuracy_P[pick]),
        tau=tau(score_P, accuracy_P),
        primary_tau=comparison.primary.tau.value,
    )


def _accuracies(study: Study, comparison: Comparison) -> dict[Placement, float]:
    """Accuracy of each placement; where several networks have it, of the first setting's."""
    among = networks(study.space)
    found: dict[Placement, float] = {}
    of = dict(zip(comparison.cloud.network_ids, comparison.cloud.accuracies, strict=True))
    for row in np.argsort(among.setting_N, kind="stable"):
        accuracy = of.get(among.network_ids[row])
        if accuracy is not None:
            place = tuple(a and (a.kind, a.scale or "native") for a in among.specs[row].attention)
            found.setdefault(place, accuracy)
    return found


def _cells(place: Placement, study: Study) -> tuple[int, ...]:
    sizes = study.space.base.map_sizes
    scales = zip((gate[1] if gate else 0 for gate in place), sizes, strict=True)
    return tuple(size if scale == "native" else int(scale) for scale, size in scales)


def _ranks(accuracy_P: Floats) -> Floats:
    """From 0 for the worst to 1 for the best; NaN where it is not known."""
    known_P = np.isfinite(accuracy_P)
    rank_P = np.full(len(accuracy_P), np.nan)
    rank_P[known_P] = (rankdata(accuracy_P[known_P]) - 0.5) / max(1, known_P.sum())
    return rank_P
