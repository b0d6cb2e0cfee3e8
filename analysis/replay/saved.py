"""How many trials a start saves: those until the best is found, against the sampler alone.

Shapes: R runs, B resamples.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from analysis.judge.agreement import Interval

Floats = NDArray[np.float64]
RESAMPLES = 2000
LEVELS = [0.025, 0.975]


def trials_saved(alone: Sequence[float], needed: Sequence[float]) -> Interval:
    """Median trials alone minus median trials needed, with a 95 % interval.

    The interval is the percentile bootstrap over runs in pairs: both searches of a pair have the
    same seeds of sampler and trainings. A wrong start saves a negative number.

    Args:
        alone, needed: trials until the best was found, of each run; one that never found it counts
            with all its trials (so what is saved is then rather more).
    """
    alone_R, needed_R = np.asarray(alone, float), np.asarray(needed, float)
    runs = len(alone_R)
    rows_BR = np.random.default_rng(0).integers(runs, size=(RESAMPLES, runs))
    saved_B = np.median(alone_R[rows_BR], axis=1) - np.median(needed_R[rows_BR], axis=1)
    low, high = np.quantile(saved_B, LEVELS) if runs > 1 else (np.nan, np.nan)
    value = float(np.median(alone_R) - np.median(needed_R))
    return Interval(value, float(low), float(high), runs)
