"""scikit-learn's handwritten digits, 8x8: real input for a smoke test, no download."""

import numpy as np


def load_digits() -> tuple[np.ndarray, np.ndarray]:
    """All images, uint8 (1797, 3, 8, 8), the channels equal, and labels 0..9, int64 (1797,).

    Three equal channels, so that the same network specs fit; 17 grey levels spread over 0..255.
    """
    from sklearn import datasets  # optional: only this data set needs it

    pixels_ND, labels_N = datasets.load_digits(return_X_y=True)
    grey_NHW = np.rint(np.asarray(pixels_ND) * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8)
    return np.repeat(grey_NHW[:, None], 3, axis=1), np.asarray(labels_N, np.int64)
