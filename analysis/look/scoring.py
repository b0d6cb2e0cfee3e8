"""Per-query scores of one source and estimator, and what its responses have besides.

Shapes: S vanilla networks times permutations of the labels, Q queries, G gallery.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from analysis.look.classmap import Estimator, Place
from analysis.look.classrepsim import Look, ProbeSet, Variant
from analysis.look.similarity import (
    class_matrix,
    class_responses,
    neighbour_scores,
    prediction_scores,
    retention,
)

MAX_MATRIX_CLASSES = 100  # class matrices of more classes are not kept


class Scorer:
    """Per-query scores of one source and estimator, averaged over the taps of a place."""

    def __init__(
        self,
        looks: Sequence[Look],
        probe_set: ProbeSet,
        labelings: Sequence[NDArray[np.int64]],
        estimator: Estimator,
    ) -> None:
        self.looks = looks
        self.probe_set = probe_set
        self.labelings = labelings
        self.estimator: Estimator = estimator

    def scales(self, place: Place) -> list[int]:
        """Scales at which every tap of the place was read, ascending."""
        per_tap = [
            {key[1] for key in self.looks[0].found if key[0] == tap and key[2] == "full"}
            for tap in place.taps
        ]
        fits = set.intersection(*per_tap)
        return sorted(cells for cells in fits if cells <= (place.max_cells or max(fits)))

    def scores_SQ(
        self, taps: Sequence[str], cells: int, variant: Variant
    ) -> NDArray[np.float64] | None:
        """Mean score over the taps: (S, Q); None if this was not read."""
        if (taps[0], cells, variant, self.estimator) not in self.looks[0].found:
            return None
        return np.stack(
            [
                np.mean(
                    [self._scores(look, labels_G, (tap, cells, variant)) for tap in taps], axis=0
                )
                for look in self.looks
                for labels_G in self.labelings
            ]
        )

    def _scores(
        self, look: Look, labels_G: NDArray[np.int64], site: tuple[str, int, Variant]
    ) -> NDArray[np.float64]:
        answers = look.found[*site, self.estimator]
        labels_Q = self.probe_set.query_labels_Q
        if self.estimator == "knn":
            return neighbour_scores(answers, labels_G, labels_Q)
        return prediction_scores(answers, labels_Q, classes=self.probe_set.classes)

    def retained(self, place: Place, cells: int, native: int) -> tuple[float, float, float]:
        """Retention from native, mean over networks and taps; NaN for other estimators."""
        if self.estimator != "knn":
            return float("nan"), float("nan"), float("nan")
        found = [
            retention(
                look.found[tap, cells, "full", "knn"],
                look.found[tap, native, "full", "knn"],
                self.probe_set.gallery_labels_G,
                self.probe_set.query_labels_Q,
                classes=self.probe_set.classes,
            )
            for look in self.looks
            for tap in place.taps
        ]
        jaccard, agreement, rank = np.mean(found, axis=0)
        return float(jaccard), float(agreement), float(rank)

    def dimension(self, place: Place, cells: int) -> float:
        """Intrinsic dimension, mean over networks and taps; NaN for other estimators."""
        if self.estimator != "knn":
            return float("nan")
        return float(
            np.mean([look.dimension[tap, cells] for look in self.looks for tap in place.taps])
        )

    def matrix(self, place: Place, cells: int) -> tuple[float, ...]:
        """Class matrix, mean over networks and taps, row by row; empty where it is not kept."""
        classes, labels_G = self.probe_set.classes, self.probe_set.gallery_labels_G
        if self.estimator != "knn" or classes > MAX_MATRIX_CLASSES:
            return ()
        matrices = [
            class_matrix(
                class_responses(look.found[tap, cells, "full", "knn"], labels_G, classes=classes),
                self.probe_set.query_labels_Q,
            )
            for look in self.looks
            for tap in place.taps
        ]
        return tuple(np.mean(matrices, axis=0).ravel().tolist())
