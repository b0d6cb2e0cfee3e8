"""Mean and deviation of pixels from counts of their 256 values: exact, in bounded memory.

Shapes: N images, C channels, V = 256 values.
"""

import numpy as np


def add_histogram(histogram_CV: np.ndarray, images_NCHW: np.ndarray) -> None:
    """Count the 256 values of each channel into `histogram_CV`, int64 (C, 256)."""
    for channel, counts_V in enumerate(histogram_CV):
        counts_V += np.bincount(images_NCHW[:, channel].ravel(), minlength=256)


def histogram_statistics(
    histogram_CV: np.ndarray,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel from its counts; a constant channel has 1."""
    values_V = np.arange(256)
    total_C = histogram_CV.sum(1)
    mean_C = histogram_CV @ values_V / total_C
    variance_C = histogram_CV @ values_V**2 / total_C - mean_C**2
    std_C = np.where(variance_C > 1e-6, np.sqrt(np.maximum(variance_C, 1e-6)), 1.0)
    return tuple(mean_C.tolist()), tuple(std_C.tolist())
