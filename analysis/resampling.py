"""Macro means over classes and their standard errors, by resampling queries within classes.

Shapes: S vanilla networks, Q queries, R resamples.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Estimate(NamedTuple):
    """A value and its standard error."""

    value: float
    se: float


NOT_READ = Estimate(float("nan"), float("nan"))


class Resampler:
    """Estimates macro means of per-query scores; the same resamples serve all, so pairs pair.

    Args:
        labels_Q: class of each query.
        resamples: number of bootstrap samples; only queries are resampled, never the gallery.
    """

    def __init__(self, labels_Q: NDArray[np.int64], *, resamples: int = 500, seed: int = 0):
        rng = np.random.default_rng(seed)
        present = np.unique(labels_Q)
        self.weight_Q = np.zeros(len(labels_Q))
        self.weight_RQ = np.zeros((resamples, len(labels_Q)))
        for label in present:
            at = np.flatnonzero(labels_Q == label)
            share = 1 / (len(at) * len(present))
            self.weight_Q[at] = share
            drawn = rng.multinomial(len(at), np.full(len(at), 1 / len(at)), size=resamples)
            self.weight_RQ[:, at] = drawn * share

    def estimate(self, scores_SQ: Floats) -> Estimate:
        """Macro mean over classes, averaged over networks.

        The error adds the images' (bootstrap) and, with S > 1, the networks' (spread / sqrt(S)).
        """
        mean_Q = scores_SQ.mean(0)
        variance = float((self.weight_RQ @ mean_Q).var())
        if len(scores_SQ) > 1:
            variance += float((scores_SQ @ self.weight_Q).var(ddof=1)) / len(scores_SQ)
        return Estimate(float(mean_Q @ self.weight_Q), float(np.sqrt(variance)))
