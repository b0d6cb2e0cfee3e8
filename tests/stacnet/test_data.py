"""Splits, statistics and batches of images."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stacnet.data.feed import Feed
from stacnet.data.images import load, pixel_statistics, split_off, whole
from stacnet.data_spec import Digits, ScaleSignal


def numbered(num: int, *, classes: int = 3):
    """Images whose first pixel is their number."""
    images = np.zeros((num, 3, 2, 2), np.uint8)
    images[:, 0, 0, 0] = np.arange(num)
    return whole(images, np.arange(num) % classes)


@given(st.integers(30, 200), st.integers(1, 5), st.floats(0.1, 0.6), st.integers(0, 99))
def test_a_split_is_a_partition_with_the_same_share_of_every_class(num, classes, fraction, seed):
    images = numbered(num, classes=classes)
    rest, part = split_off(images, fraction=fraction, seed=seed)
    assert sorted([*rest.rows_N, *part.rows_N]) == list(range(num))
    for label in range(classes):
        total = int((images.labels_N == label).sum())
        assert int((part.labels_N == label).sum()) == round(fraction * total)


def test_a_split_is_seeded():
    first, again, other = (split_off(numbered(90), fraction=0.3, seed=s)[1] for s in (0, 0, 1))
    np.testing.assert_array_equal(first.rows_N, again.rows_N)
    assert not np.array_equal(first.rows_N, other.rows_N)


@pytest.mark.parametrize("fraction", [0.0, 0.01, 1.0])
def test_a_split_that_leaves_a_side_empty_is_refused(fraction):
    with pytest.raises(ValueError, match="must leave images on both sides"):
        split_off(numbered(9), fraction=fraction, seed=0)


def test_labels_stay_with_their_images():
    _, part = split_off(numbered(90), fraction=0.3, seed=0)
    np.testing.assert_array_equal(part.images_NCHW[:, 0, 0, 0] % 3, part.labels_N)


def test_statistics_are_exact_and_a_constant_channel_is_left_alone():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (5000, 3, 4, 4), dtype=np.uint8)
    images[:, 2] = 7
    mean, std = pixel_statistics(whole(images, np.zeros(5000, np.int64)))
    np.testing.assert_allclose(mean, images.mean((0, 2, 3)))
    np.testing.assert_allclose(std[:2], images[:, :2].std((0, 2, 3)))
    assert std[2] == 1.0


def test_digits_are_all_there_and_fill_the_grey_levels():
    splits = load(Digits())
    assert len(splits.train) + len(splits.val) + len(splits.test) == 1797
    assert splits.train.shape == (3, 8, 8)
    assert splits.train.images_NCHW.max() == 255
    rows = [*splits.train.rows_N, *splits.val.rows_N, *splits.test.rows_N]
    assert len(set(rows)) == 1797


def test_trainings_share_loaded_data():
    data = ScaleSignal(train=8, val=8, test=8)
    assert load(data) is load(ScaleSignal(train=8, val=8, test=8))


def test_batches_come_in_order_with_their_labels_and_a_short_last_one():
    images = numbered(20).subset(np.arange(5, 20))
    order = np.array([3, 0, 14, 7, 1])
    batches = list(Feed(images, device=torch.device("cpu")).batches(order, size=2))
    assert [len(y) for _, y in batches] == [2, 2, 1]
    numbers = torch.cat([x for x, _ in batches])[:, 0, 0, 0]
    assert numbers.tolist() == (order + 5).tolist()
    assert torch.cat([y for _, y in batches]).tolist() == ((order + 5) % 3).tolist()


def test_a_memory_map_is_read_in_place_and_stays_unchanged(tmp_path):
    np.save(tmp_path / "images.npy", numbered(20).images_NCHW)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="c")
    feed = Feed(whole(mapped, np.arange(20)), device=torch.device("cpu"))
    ((x, _),) = feed.batches(np.arange(20)[::-1].copy(), size=20)
    assert x[:, 0, 0, 0].tolist() == list(range(19, -1, -1))
    x.zero_()
    assert mapped[7, 0, 0, 0] == 7
