"""From read-outs to the map: scores, paired differences, retention, per place and scale.

Shapes: S vanilla networks times permutations of the labels, Q queries, G gallery, K classes, k
neighbours.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from analysis.look.classmap import ClassRepMap, Draws, Estimator, Place, Reading
from analysis.look.classrepsim import Look, ProbeSet
from analysis.look.resampling import NOT_READ, Estimate, Resampler
from analysis.look.scoring import Scorer

LABEL_PERMUTATIONS = 10  # their spread counts like that of networks
DRAWS = 200  # of a pick's probability


def build_map(
    looks: Mapping[str, Sequence[Look]],
    probe_set: ProbeSet,
    *,
    places: Mapping[str, Sequence[Place]],
    last: Mapping[str, str],
    seed: int = 0,
) -> ClassRepMap:
    """Turn read-outs into the map.

    Args:
        looks: per source, one look per vanilla network; `trained` must be there.
        places: per source, the rows of the map.
        last: per source, the tap whose one-cell response is what the network ends with (HEAD).
        seed: of the resamples, and of the labels' permutation.

    Raises:
        ValueError: a class is missing among gallery or queries.
    """
    _check_classes(probe_set)
    resampler = Resampler(probe_set.query_labels_Q, seed=seed)
    labels_G = [probe_set.gallery_labels_G]
    rng = np.random.default_rng(seed)
    shuffled = [rng.permutation(labels_G[0]) for _ in range(LABEL_PERMUTATIONS)]
    readings: list[Reading] = []
    draws: list[Draws] = []
    for source, of_networks in looks.items():
        estimators: tuple[Estimator, ...] = get_args(Estimator)
        for estimator in estimators:
            if not any(key[3] == estimator for key in of_networks[0].found):
                continue
            judged = [(source, labels_G)]
            if (source, estimator) == ("trained", "knn"):
                judged.append(("permuted labels", shuffled))
            for name, labelings in judged:
                scorer = Scorer(of_networks, probe_set, labelings, estimator)
                reader = _MapReader(scorer, resampler, source=name, last=last[source])
                readings += [r for place in places[source] for r in reader.readings(place)]
                if (name, estimator) == ("trained", "knn"):
                    draws += [d for place in places[source] for d in reader.draws(place)]
    return ClassRepMap(
        readings=tuple(readings),
        num_networks=len(looks["trained"]),
        num_queries=len(probe_set.query_labels_Q),
        num_gallery=probe_set.num_gallery,
        classes=probe_set.classes,
        left_out=probe_set.left_out,
        draws=tuple(draws),
    )


def _check_classes(probe_set: ProbeSet) -> None:
    for name, labels in (
        ("gallery", probe_set.gallery_labels_G),
        ("queries", probe_set.query_labels_Q),
    ):
        counts_K = np.bincount(labels, minlength=probe_set.classes)
        if counts_K.min() < 1 or probe_set.classes < 2:
            raise ValueError(
                f"each of at least 2 classes must be among the probe images' {name}, got none of "
                f"class {int(counts_K.argmin())} of {probe_set.classes}"
            )


class _MapReader:
    """Rows of the map for one source and estimator."""

    def __init__(self, scorer: Scorer, resampler: Resampler, *, source: str, last: str) -> None:
        self.scorer = scorer
        self.resampler = resampler
        self.source = source
        last_SQ = scorer.scores_SQ((last,), 1, "full")
        assert last_SQ is not None, f"{last} was not read at one cell"
        self.last_SQ = last_SQ

    def readings(self, place: Place) -> list[Reading]:
        """One row per scale of the place."""
        scales = self.scorer.scales(place)
        scores = {cells: self.scorer.scores_SQ(place.taps, cells, "full") for cells in scales}
        full = {cells: scores_SQ for cells, scores_SQ in scores.items() if scores_SQ is not None}
        best = max(full, key=lambda cells: self.resampler.estimate(full[cells]).value)
        return [self._reading(place, cells, full, best=best) for cells in scales]

    def draws(self, place: Place) -> Iterator[Draws]:
        """Each scale of a stage, drawn anew."""
        last = tuple(self.resampler.draws(self.last_SQ)[:DRAWS].tolist())
        for cells in self.scorer.scales(place) if place.stage >= 0 else ():
            scores_SQ = self.scorer.scores_SQ(place.taps, cells, "full")
            assert scores_SQ is not None, f"{place.name} was not read at {cells} cells"
            crs = tuple(self.resampler.draws(scores_SQ)[:DRAWS].tolist())
            yield Draws(place.stage, cells, crs, last)

    def _reading(
        self, place: Place, cells: int, full: dict[int, NDArray[np.float64]], *, best: int
    ) -> Reading:
        native = max(full)
        estimate, scores_SQ = self.resampler.estimate, full[cells]
        crs = estimate(scores_SQ)
        lay = self._minus(scores_SQ, self.scorer.scores_SQ(place.taps, cells, "permuted"))
        bag_SQ = self.scorer.scores_SQ(place.taps, cells, "bag")
        bag = NOT_READ if bag_SQ is None else estimate(bag_SQ)
        head = estimate(scores_SQ - self.last_SQ)
        gain = self._minus(scores_SQ, full.get(1))
        below = estimate(full[best] - scores_SQ)
        jaccard, agreement, rank = self.scorer.retained(place, cells, native)
        return Reading(
            source=self.source,
            estimator=self.scorer.estimator,
            place=place.name,
            stage=place.stage,
            cells=cells,
            native=cells == native,
            crs=crs.value,
            crs_se=crs.se,
            lay=lay.value,
            lay_se=lay.se,
            head=head.value,
            head_se=head.se,
            gain=gain.value,
            gain_se=gain.se,
            below_best=below.value,
            below_best_se=below.se,
            retention=jaccard,
            agreement=agreement,
            rank=rank,
            bag=bag.value,
            bag_se=bag.se,
            dimension=self.scorer.dimension(place, cells),
            matrix=self.scorer.matrix(place, cells) if self.source == "trained" else (),
        )

    def _minus(
        self, scores_SQ: NDArray[np.float64], other_SQ: NDArray[np.float64] | None
    ) -> Estimate:
        return NOT_READ if other_SQ is None else self.resampler.estimate(scores_SQ - other_SQ)
