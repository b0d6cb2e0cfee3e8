"""scikit-learn's handwritten digits, 8x8: real input for a smoke test, no download."""

import numpy as np


def load_digits() -> tuple[np.ndarray, np.ndarray]:
    """All 1,797 images: uint8 (1797, 3, 8, 8), the channels equal, and labels int64 (1797,) in 0..9.

    Three equal channels, so that the same network specs fit; 17 grey levels spread over 0..255.
    """
    from sklearn import datasets  # optional: only this data set needs it

    bunch = datasets.load_digits()
    grey_NHW = np.rint(bunch.images * (255 / 16)).astype(np.uint8)
    return np.repeat(grey_NHW[:, None], 3, axis=1), bunch.target.astype(np.int64)
