"""Early stopping: asynchronous halving and the median rule, rebuilt from stored curves.

Ray Tune's own schedulers keep their rungs in memory and forget them on a restart, and cannot run in
a replay without Ray; these hold nothing but curves.
"""

from collections.abc import Iterable, Sequence
from statistics import fmean, median
from typing import Protocol, assert_never

from search.study.study import Study

REDUCTION = 3  # one in so many goes on at each rung (Li et al. 2020, ASHA)
GRACE_EPOCHS = 1
MEDIAN_SAMPLES = 3  # the median rule keeps still before it has seen so many trainings


class Pruner(Protocol):
    """Decides from a curve of validation accuracies whether a training is worth going on."""

    def should_stop(self, training_id: str, curve: Sequence[float]) -> bool:
        """Whether to stop after the last epoch of the curve, which is remembered."""
        ...


class Never:
    """Every training is trained to its end."""

    def should_stop(self, training_id: str, curve: Sequence[float]) -> bool:
        """No."""
        return False


class Halving:
    """Asynchronous successive halving (ASHA): at each rung only the best third so far goes on.

    Args:
        epochs: of a whole training.
    """

    def __init__(self, epochs: int) -> None:
        rung, self._rungs = GRACE_EPOCHS, dict[int, dict[str, float]]()
        while rung < epochs:
            self._rungs[rung] = {}
            rung *= REDUCTION

    def should_stop(self, training_id: str, curve: Sequence[float]) -> bool:
        """Whether the training is outside the best share at a rung that it reached just now."""
        for epoch, seen in self._rungs.items():
            if epoch <= len(curve):
                seen[training_id] = curve[epoch - 1]
        seen = self._rungs.get(len(curve))
        if seen is None or len(seen) < REDUCTION:
            return False
        ranked = sorted(seen.values(), reverse=True)
        return curve[-1] < ranked[len(ranked) // REDUCTION]


class Median:
    """The median rule (Golovin et al. 2017): stop what is below the median of the others' means."""

    def __init__(self) -> None:
        self._curves: dict[str, tuple[float, ...]] = {}

    def should_stop(self, training_id: str, curve: Sequence[float]) -> bool:
        """Whether the training's best is below the median of the running means at this epoch."""
        self._curves[training_id] = tuple(curve)
        epoch = len(curve)
        others = [
            fmean(other[:epoch])
            for name, other in self._curves.items()
            if name != training_id and len(other) >= epoch
        ]
        if epoch <= GRACE_EPOCHS or len(others) < MEDIAN_SAMPLES:
            return False
        return max(curve) < median(others)


def make_pruner(study: Study, curves: Iterable[tuple[str, Sequence[float]]] = ()) -> Pruner:
    """The study's scheduler, having seen these curves (training id, validation accuracies)."""
    match study.scheduler:
        case "none":
            return Never()
        case "asha":
            pruner = Halving(study.protocol.epochs)
        case "median":
            pruner = Median()
        case _:
            assert_never(study.scheduler)
    for training_id, curve in curves:
        pruner.should_stop(training_id, curve)
    return pruner
