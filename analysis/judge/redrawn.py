"""What other test images would have shown: accuracies and taus with the images drawn anew.

Shapes: N networks, B seeds that measure, I test images, G groups of them, M draws.
"""

import numpy as np
from numpy.typing import NDArray

from analysis.judge.answers import Answers
from analysis.judge.nulls import settled_taus

Floats = NDArray[np.float64]
DRAWS = 200


def redrawn_accuracy(
    answers: Answers, rows: NDArray[np.int64], columns: NDArray[np.int64], *, seed: int = 0
) -> Floats | None:
    """Mean accuracy of some networks over some seeds, groups of images drawn anew: (N, M).

    Returns:
        None where a training's answers are not stored.
    """
    weight_MI = _weights(answers, np.random.default_rng(seed))
    found_NM = np.empty((len(rows), DRAWS))
    for at, row in enumerate(rows):
        right_BI = answers.right(int(row), columns)
        if right_BI is None:
            return None
        found_NM[at] = weight_MI @ right_BI.mean(0)
    return found_NM


def _weights(answers: Answers, rng: np.random.Generator) -> Floats:
    """Share of each image in each draw: (M, I)."""
    groups_I = np.arange(answers.images) if answers.groups_I is None else answers.groups_I
    _, group_I = np.unique(groups_I, return_inverse=True)
    num = int(group_I.max()) + 1
    drawn_MG = rng.multinomial(num, np.full(num, 1 / num), size=DRAWS)
    weight_MI = drawn_MG[:, group_I].astype(float)
    return weight_MI / weight_MI.sum(1, keepdims=True)


def tau_spread(score_N: Floats, redrawn_NM: Floats) -> float:
    """SD of tau over the draws; 0 where it has none."""
    known_N = np.isfinite(score_N)
    if known_N.sum() < 2:
        return 0.0
    taus_M = settled_taus(redrawn_NM[known_N], score_N[known_N])
    return float(np.nanstd(taus_M)) if np.isfinite(taus_M).any() else 0.0
