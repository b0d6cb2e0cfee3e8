"""How sure a mean over seeds and test images is: both are samples, and both are a source of error.

Seeds alone say how far another training would differ on the same images. What other images would
say is in the spread of the images, the same in every training: a part of the error that no number
of seeds takes away. Shapes: S seeds, I test images, G groups of images.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtri, stdtrit

from analysis.judge.agreement import LEVEL, Interval

Floats = NDArray[np.float64]
SMALLEST_P = 1e-12


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A mean over seeds and test images, with what is unsure about it.

    Args:
        value: the mean; NaN for none.
        num_seeds: that it is a mean of.
        seeds_var: variance of the mean over seeds; NaN with fewer than two.
        images_var: what other test images add to that; 0 where it is not known.
    """

    value: float
    num_seeds: int
    seeds_var: float
    images_var: float = 0.0

    def half_width(self, tail: float) -> float:
        """Of the interval that leaves out this probability on each side; NaN without an error.

        Student's t for the seeds and the normal quantile for the images, added in squares: never
        narrower than Student's t alone, which it is where the images are not known.
        """
        if np.isnan(self.seeds_var):
            return float("nan")
        of_seeds = stdtrit(self.num_seeds - 1, 1 - tail) ** 2 * self.seeds_var
        return float(np.sqrt(of_seeds + ndtri(1 - tail) ** 2 * self.images_var))

    @property
    def interval(self) -> Interval:
        """95 %."""
        half = self.half_width((1 - LEVEL) / 2)
        return Interval(self.value, self.value - half, self.value + half, self.num_seeds)

    @property
    def images_width(self) -> float:
        """Half of the interval that would be left at any number of seeds."""
        return float(ndtri(1 - (1 - LEVEL) / 2) * np.sqrt(self.images_var))

    def above_p(self, bound: float) -> float:
        """One-sided p that the truth is above `bound`: small where it is at most that for sure."""
        distance = bound - self.value
        if np.isnan(distance) or np.isnan(self.seeds_var):
            return float("nan")
        if self.seeds_var + self.images_var == 0:
            return 0.0 if distance > 0 else 1.0
        tail = self._tail(abs(distance))
        return tail if distance > 0 else 1 - tail

    def below_p(self, bound: float) -> float:
        """One-sided p that the truth is below `bound`."""
        turned = Measured(
            value=-self.value,
            num_seeds=self.num_seeds,
            seeds_var=self.seeds_var,
            images_var=self.images_var,
        )
        return turned.above_p(-bound)

    def equivalence_p(self, margin: float) -> float:
        """TOST (Schuirmann 1987): p that the truth lies outside +-margin."""
        return float(np.maximum(self.above_p(margin), self.below_p(-margin)))

    def _tail(self, distance: float) -> float:
        """The tail whose half width is `distance`."""
        if self.half_width(SMALLEST_P) <= distance:
            return SMALLEST_P
        found = brentq(lambda tail: self.half_width(tail) - distance, SMALLEST_P, 0.5, xtol=1e-13)
        return float(np.asarray(found))


def measured(
    values_S: Floats, right_SI: Floats | None = None, groups_I: NDArray[np.int64] | None = None
) -> Measured:
    """Mean of a paired difference (or of an accuracy) over seeds; NaN of a seed is left out.

    Args:
        right_SI: the same per test image of every seed that is known: 1, 0, or a difference of
            them. None where it was not stored.
        groups_I: images of one group (a typeface, a scene) are drawn together; None for none.
    """
    values_S = values_S[np.isfinite(values_S)]
    count = len(values_S)
    if not count:
        return Measured(value=float("nan"), num_seeds=0, seeds_var=float("nan"))
    value = float(values_S.mean())
    if count < 2:
        return Measured(value=value, num_seeds=count, seeds_var=float("nan"))
    # differences that are equal but for their rounding have no spread
    spread = 0.0 if np.ptp(values_S) < 1e-12 else float(values_S.var(ddof=1)) / count
    images = 0.0 if right_SI is None else images_variance(right_SI, groups_I)
    return Measured(value=value, num_seeds=count, seeds_var=spread, images_var=images)


def images_variance(right_SI: Floats, groups_I: NDArray[np.int64] | None = None) -> float:
    """What the images add to the variance of the mean, beyond what differs from seed to seed.

    The estimate of a two-way layout of random seeds and random groups of images: the variance of
    the groups' means less the part of it that is noise of single trainings; at least 0.
    """
    seeds, images = right_SI.shape
    names, group_I = np.unique(
        np.arange(images) if groups_I is None else groups_I, return_inverse=True
    )
    groups = len(names)
    if groups < 2:
        return 0.0
    sums_SG = _sums(right_SI - right_SI.mean(1, keepdims=True), group_I, groups)
    mean_G = sums_SG.mean(0)
    widened = groups / (groups - 1) / images**2
    of_means = float((mean_G**2).sum()) * widened
    if seeds < 2:
        return of_means
    noise = float(((sums_SG - mean_G) ** 2).sum()) / (seeds - 1) * widened / seeds
    return max(0.0, of_means - noise)


def _sums(values_SI: Floats, group_I: NDArray[np.int64], groups: int) -> Floats:
    """Sum over the images of each group: (S, G)."""
    if groups == values_SI.shape[1]:
        return values_SI
    sums_SG = np.zeros((len(values_SI), groups))
    for sums_G, row_I in zip(sums_SG, values_SI, strict=True):
        np.add.at(sums_G, group_I, row_I)
    return sums_SG
