"""scikit-learn's handwritten digits, 8x8: real input for a smoke test, no download."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np

FILE = "datasets/data/digits.csv.gz"  # in the package: 64 grey levels of 0 to 16, and the label


def load_digits() -> tuple[np.ndarray, np.ndarray]:
    """All images, uint8 (1797, 3, 8, 8), the channels equal, and labels 0..9, int64 (1797,).

    Three equal channels, so that the same network specs fit; 17 grey levels spread over 0..255.
    """
    table = _table()
    grey_NHW = np.rint(table[:, :-1] * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8)
    return np.repeat(grey_NHW[:, None], 3, axis=1), table[:, -1].astype(np.int64)


def _table() -> np.ndarray:
    """The package's own file, since importing the package takes longer than all else here."""
    package = find_spec("sklearn")
    if package and package.origin and (file := Path(package.origin).parent / FILE).exists():
        return np.loadtxt(file, delimiter=",")
    from sklearn import datasets  # optional: only this data set needs it

    pixels_ND, labels_N = datasets.load_digits(return_X_y=True)
    return np.column_stack([pixels_ND, labels_N])
