"""Macro means over classes and their standard errors, by resampling queries within classes.

Shapes: S vanilla networks, Q queries, R resamples.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
GALLERY = 0.25  # variance that the gallery adds, of that of the queries (docs/decisions)


class Estimate(NamedTuple):
    """A value and its standard error."""

    value: float
    se: float


NOT_READ = Estimate(float("nan"), float("nan"))


class Resampler:
    """Estimates macro means of per-query scores; the same resamples serve all, so pairs pair.

    A class of n queries is resampled with its deviations times sqrt(n / (n - 1)), else the error of
    few queries comes out too small, with 2 by a factor of 0.7 (Rao & Wu 1988). Classes of one query
    have no spread of their own and are resampled together, which errs on the safe side. The gallery
    is never resampled: its share of the variance is added.

    Args:
        labels_Q: class of each query.
        resamples: number of bootstrap samples; only queries are resampled, never the gallery.
    """

    def __init__(self, labels_Q: NDArray[np.int64], *, resamples: int = 500, seed: int = 0):
        rng = np.random.default_rng(seed)
        counts_K = np.bincount(labels_Q)
        share_Q = 1 / (counts_K[labels_Q] * np.count_nonzero(counts_K))
        self.weight_Q = share_Q
        self._share: dict[int, Floats] = {}
        self.weight_RQ = np.repeat(share_Q[None], resamples, axis=0)
        single_Q = counts_K[labels_Q] == 1
        strata = [np.flatnonzero(labels_Q == label) for label in np.flatnonzero(counts_K > 1)]
        for at in (*strata, np.flatnonzero(single_Q)):
            if len(at) > 1:
                drawn = rng.multinomial(len(at), np.full(len(at), 1 / len(at)), size=resamples)
                wider = np.sqrt((1 + GALLERY) * len(at) / (len(at) - 1))
                self.weight_RQ[:, at] *= 1 + (drawn - 1) * wider

    def draws(self, scores_SQ: Floats) -> Floats:
        """The macro mean with queries and networks drawn anew: (R,), the same draws for all."""
        networks = len(scores_SQ)
        if networks not in self._share:
            rng, each = np.random.default_rng(networks), np.full(networks, 1 / networks)
            drawn_RS = rng.multinomial(networks, each, size=len(self.weight_RQ))
            self._share[networks] = drawn_RS / networks
        return (self._share[networks] * (self.weight_RQ @ scores_SQ.T)).sum(1)

    def estimate(self, scores_SQ: Floats) -> Estimate:
        """Macro mean over classes, averaged over networks.

        The error adds the images' (bootstrap) and, with S > 1, the networks' (spread / sqrt(S)).
        """
        mean_Q = scores_SQ.mean(0)
        variance = float((self.weight_RQ @ mean_Q).var())
        if len(scores_SQ) > 1:
            variance += float((scores_SQ @ self.weight_Q).var(ddof=1)) / len(scores_SQ)
        return Estimate(float(mean_Q @ self.weight_Q), float(np.sqrt(variance)))
