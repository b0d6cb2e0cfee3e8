"""Groups of images that are alike: no split cuts one, and a cache keeps and proves them."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stacnet.data.cache import open_cache, verify
from stacnet.data.images import load, split_off, whole
from stacnet.data.prepare import prepare
from stacnet.data.source import Part, Source
from stacnet.data_spec import Prepared

CLASSES, GROUPS = 3, 10


def grouped(num: int = 120, *, groups: int = GROUPS, first: int = 0):
    """Every group has images of every class."""
    return {
        "labels_N": np.arange(num) % CLASSES,
        "groups_N": first + np.arange(num) // CLASSES % groups,
    }


def source(*, with_groups: bool = True) -> Source:
    """Groups 0..9 to train on, 10..13 to test on."""
    parts = []
    for split, columns in (("train", grouped()), ("test", grouped(24, groups=4, first=GROUPS))):
        pixels = np.random.default_rng(len(split)).integers(0, 256, (120, 3, 4, 4), np.uint8)
        columns |= {} if with_groups else {"groups_N": None}
        parts.append(
            Part(
                name=split,
                path=Path(split),
                split=split,
                read=lambda start, stop, pixels=pixels: pixels[start:stop],
                fingerprint=split,
                **columns,
            )
        )
    names = tuple(f"scene {group}" for group in range(GROUPS + 4)) if with_groups else ()
    return Source(format="folder", size=4, class_names=tuple("abc"), parts=parts, group_names=names)


@given(st.integers(2, 30), st.floats(0.01, 0.7), st.integers(0, 99))
def test_a_split_by_groups_cuts_none_and_takes_that_share_of_them(groups, fraction, seed):
    columns = grouped(CLASSES * 2 * groups, groups=groups)
    images = whole(np.zeros((CLASSES * 2 * groups, 3, 1, 1), np.uint8), **columns)
    rest, part = split_off(images, fraction=fraction, seed=seed)
    assert sorted([*rest.rows_N, *part.rows_N]) == list(range(len(images)))
    assert not set(rest.groups_N) & set(part.groups_N)
    assert len(set(part.groups_N)) == max(1, round(fraction * groups))
    for side in (rest, part):
        np.testing.assert_array_equal(side.groups_N, columns["groups_N"][side.rows_N])


def test_a_split_by_groups_that_would_lose_a_class_is_refused():
    images = whole(np.zeros((6, 3, 1, 1), np.uint8), np.arange(6) % 3, groups_N=np.arange(6) % 3)
    with pytest.raises(ValueError, match=r"every class on both sides, got fraction=0\.3 of 3"):
        split_off(images, fraction=0.3, seed=0)


def test_prepared_groups_reach_the_splits_and_validation_cuts_none(tmp_path):
    prepare(source(), tmp_path / "cache")
    splits = load(Prepared(name="cache", val_fraction=0.3), folder=tmp_path)
    sides = [set(one.groups_N) for one in (splits.train, splits.val, splits.test)]
    assert [len(side) for side in sides] == [7, 3, 4]
    assert set().union(*sides) == set(range(GROUPS + 4))
    other = load(Prepared(name="cache", val_fraction=0.3, seed=1), folder=tmp_path)
    assert set(other.val.groups_N) != sides[1]


def test_groups_change_the_checksum_and_where_there_are_none_it_is_the_old_one(tmp_path):
    with_groups = prepare(source(), tmp_path / "with")
    without = prepare(source(with_groups=False), tmp_path / "without")
    assert with_groups.checksum != without.checksum
    # Of these images as the code before there were groups prepared them.
    assert without.checksum == "f95e216416883076a6f578c8eeeaf02ffd71de545d34e39b7b1928d137871f6f"
    assert without.groups == {}
    assert not (tmp_path / "without" / "train_groups.npy").exists()
    assert load(Prepared(name="without", val_fraction=0.3), folder=tmp_path).val.groups_N is None


def test_a_changed_group_is_found(tmp_path):
    prepare(source(), tmp_path / "cache")
    verify(tmp_path / "cache")
    path = tmp_path / "cache" / "test_groups.npy"
    groups_N = np.load(path)
    groups_N[0] = 11
    np.save(path, groups_N)
    with pytest.raises(ValueError, match="damaged: labels, groups or meta"):
        verify(tmp_path / "cache")


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (lambda groups_N: groups_N + 2, r"groups must be in 0\.\.13, got 12\.\.15"),
        (lambda groups_N: groups_N - 10, "no group may be in two splits, got 'scene 0'"),
        (lambda groups_N: groups_N[1:], r"must be int64 of shape \(24,\)"),
    ],
    ids=["out of range", "of the training images", "too short"],
)
def test_damaged_groups_are_named(tmp_path, spoil, rule):
    prepare(source(), tmp_path / "cache")
    path = tmp_path / "cache" / "test_groups.npy"
    np.save(path, spoil(np.load(path)))
    with pytest.raises(ValueError, match=rf"cache.*damaged, prepare the data again: {rule}"):
        open_cache(tmp_path / "cache")


def test_missing_groups_are_named(tmp_path):
    prepare(source(), tmp_path / "cache")
    (tmp_path / "cache" / "train_groups.npy").unlink()
    with pytest.raises(ValueError, match=r"train_groups\.npy: damaged, prepare the data again"):
        open_cache(tmp_path / "cache")
