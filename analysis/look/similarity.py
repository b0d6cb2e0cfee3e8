"""What neighbours say: class responses, their score, the class matrix, and what pooling retains.

Shapes: Q queries, G gallery, k neighbours, K classes.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Retention(NamedTuple):
    """How much of one read-out survives in another; 1 is all."""

    jaccard: float
    agreement: float
    rank: float


def class_responses(answers_Qk: Ints, gallery_labels_G: Ints, *, classes: int) -> Floats:
    """Share of each class among the neighbours of each query: (Q, K), rows summing to 1."""
    votes_Qk = gallery_labels_G[answers_Qk]
    counts_QK = np.zeros((len(votes_Qk), classes))
    np.add.at(counts_QK, (np.arange(len(votes_Qk))[:, None], votes_Qk), 1.0)
    return counts_QK / votes_Qk.shape[1]


def neighbour_scores(answers_Qk: Ints, gallery_labels_G: Ints, query_labels_Q: Ints) -> Floats:
    """Share of each query's own class among its neighbours: (Q,), 0 at chance, 1 at the ceiling.

    Chance is the class's share of the gallery; the ceiling is below k only for classes with fewer
    than k gallery images. Their macro mean is CRS.
    """
    num_neighbours = answers_Qk.shape[1]
    hits_Q = (gallery_labels_G[answers_Qk] == query_labels_Q[:, None]).mean(1)
    sizes_Q = np.bincount(gallery_labels_G, minlength=int(query_labels_Q.max()) + 1)[query_labels_Q]
    chance_Q = sizes_Q / len(gallery_labels_G)
    ceiling_Q = np.minimum(sizes_Q, num_neighbours) / num_neighbours
    return (hits_Q - chance_Q) / (ceiling_Q - chance_Q)


def prediction_scores(answers_Q1: Ints, query_labels_Q: Ints, *, classes: int) -> Floats:
    """Whether the predicted class is right: (Q,), 0 at chance in the macro mean, 1 at best."""
    return ((answers_Q1[:, 0] == query_labels_Q) - 1 / classes) / (1 - 1 / classes)


def class_matrix(responses_QK: Floats, query_labels_Q: Ints) -> Floats:
    """Mean class response of each class: (K, K), rows summing to 1."""
    classes = responses_QK.shape[1]
    sums_KK = np.zeros((classes, classes))
    np.add.at(sums_KK, query_labels_Q, responses_QK)
    return sums_KK / np.bincount(query_labels_Q, minlength=classes)[:, None]


def retention(
    answers_Qk: Ints, native_Qk: Ints, gallery_labels_G: Ints, query_labels_Q: Ints, *, classes: int
) -> Retention:
    """How much of the native read-out a pooled one keeps.

    Returns:
        mean Jaccard index of the neighbourhoods, mean overlap of the class responses, and
        Spearman correlation of the class matrices' entries.
    """
    shared_Q = (answers_Qk[:, :, None] == native_Qk[:, None, :]).sum((1, 2))
    jaccard = float((shared_Q / (2 * answers_Qk.shape[1] - shared_Q)).mean())
    ours_QK = class_responses(answers_Qk, gallery_labels_G, classes=classes)
    native_QK = class_responses(native_Qk, gallery_labels_G, classes=classes)
    agreement = float(np.minimum(ours_QK, native_QK).sum(1).mean())
    ranks = [
        rankdata(class_matrix(responses_QK, query_labels_Q).ravel())
        for responses_QK in (ours_QK, native_QK)
    ]
    varies = all(np.ptp(rank) > 0 for rank in ranks)
    rank = float(np.corrcoef(*ranks)[0, 1]) if varies else float("nan")
    return Retention(jaccard=jaccard, agreement=agreement, rank=rank)
