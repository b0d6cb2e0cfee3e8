"""Which images a map rests on: however many classes there are, and however few of them occur."""

import numpy as np
import pytest
import torch

from analysis.look.probeset import probe_set
from analysis.look.resampling import GALLERY, Resampler
from stacnet.data.images import Splits, whole

CPU = torch.device("cpu")


def numbered(labels: list[int] | np.ndarray, *, classes: int) -> Splits:
    """Splits whose validation images carry their number in their first pixel."""
    images = np.zeros((len(labels), 3, 1, 2), np.uint8)
    images[:, 0, 0, 0], images[:, 1, 0, 0] = np.divmod(np.arange(len(labels)), 256)
    val = whole(images, np.asarray(labels, np.int64))
    return Splits(val, val, val, classes, (0.0,) * 3, (1.0,) * 3)


def rows_of(probes) -> np.ndarray:
    """Numbers of the images in the order of the probes."""
    pixels = torch.cat(list(probes.batches()))[:, :2, 0, 0].numpy()
    return (pixels @ [256, 1]).round().astype(int)


def test_a_thousand_classes_get_four_images_each_by_default():
    probes = probe_set(numbered(np.arange(6000) % 1000, classes=1000), device=CPU)
    assert (probes.classes, probes.left_out) == (1000, 0)
    assert np.bincount(probes.gallery_labels_G).tolist() == [2] * 1000
    assert np.bincount(probes.query_labels_Q).tolist() == [2] * 1000


def test_classes_with_too_few_images_are_left_out_and_counted():
    labels = [0] * 8 + [499] * 3 + [998] * 2 + [999]
    probes = probe_set(numbered(labels, classes=1000), device=CPU)
    assert (probes.classes, probes.left_out) == (3, 997)
    assert np.bincount(probes.gallery_labels_G).tolist() == [4, 1, 1]
    assert np.bincount(probes.query_labels_Q).tolist() == [4, 2, 1]
    assert 13 not in rows_of(probes)


def test_classes_that_do_not_occur_change_nothing_about_the_others():
    few = np.random.default_rng(1).integers(0, 5, 300)
    spread = np.array([3, 17, 400, 401, 999])[few]
    one = probe_set(numbered(few, classes=5), images=100, device=CPU)
    other = probe_set(numbered(spread, classes=1000), images=100, device=CPU)
    np.testing.assert_array_equal(one.labels_N, other.labels_N)
    np.testing.assert_array_equal(rows_of(one), rows_of(other))


def test_labels_stay_with_their_images_and_no_image_is_gallery_and_query():
    labels = np.random.default_rng(2).integers(0, 9, 400)
    probes = probe_set(numbered(labels, classes=9), images=180, device=CPU)
    rows = rows_of(probes)
    np.testing.assert_array_equal(probes.labels_N, labels[rows])
    assert len(set(rows)) == len(rows) == 180


def test_one_class_or_no_images_are_refused():
    with pytest.raises(ValueError, match="2 classes must have 2 images, got 1 of 1000"):
        probe_set(numbered([7, 7, 7, 8], classes=1000), device=CPU)
    with pytest.raises(ValueError, match="probe images must be at least 1, got images=0"):
        probe_set(numbered([0, 0, 1, 1], classes=2), images=0, device=CPU)


@pytest.mark.parametrize("each", [2, 3, 30])
def test_the_error_of_few_queries_is_that_of_a_stratified_mean(each):
    """The closed form: the variance of the mean of each class, from its own spread."""
    labels = np.repeat(np.arange(400 // each), each)
    scores = np.random.default_rng(each).normal(size=len(labels))
    spread = np.array([scores[labels == label].var(ddof=1) for label in np.unique(labels)])
    expected = np.sqrt((1 + GALLERY) * (spread / each).sum()) / len(spread)
    found = Resampler(labels, resamples=4000).estimate(scores[None])
    assert found.se == pytest.approx(expected, rel=0.05)


def test_classes_of_one_query_have_an_error_all_the_same():
    scores = np.random.default_rng(0).normal(size=100)
    found = Resampler(np.arange(100), resamples=4000).estimate(scores[None])
    assert found.se == pytest.approx(np.sqrt(1 + GALLERY) * scores.std(ddof=1) / 10, rel=0.05)
    assert found.value == pytest.approx(scores.mean())
