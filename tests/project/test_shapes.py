"""What holds names to their shapes: it sees a wrong one, and only that."""

from contextlib import suppress

import numpy as np
import torch
from shapes import broken, checked_shapes

from analysis.judge.ranks import tau


def test_a_name_says_its_dimensions_and_their_sizes() -> None:
    given = {"x_BCHW": torch.zeros(2, 3, 4, 5), "y_BK": np.zeros((2, 7)), "z_B2": np.ones((2, 2))}
    assert broken(given, letters=True) == ""
    assert broken(given | {"labels_B": np.zeros(3)}, letters=False) == ""
    assert "B of labels_B must be 2" in broken(given | {"labels_B": np.zeros(3)}, letters=True)
    assert "must have 1 dimensions" in broken({"labels_B": np.zeros((3, 1))}, letters=False)
    assert "2 of z_B2 must be 2 as in its name" in broken({"z_B2": np.zeros((3, 3))}, letters=False)
    assert broken({"num_B": 3, "note": "text", "x_BCHW": None}, letters=True) == ""


def test_a_wrong_call_is_seen_and_one_that_raises_is_not() -> None:
    with checked_shapes() as faults:
        tau(np.arange(4.0), np.arange(4.0))
        assert faults == []
        with suppress(ValueError):
            tau(np.arange(4.0), np.arange(3.0))
    assert faults == []
