"""ScaleSignal: its codewords, its determinism, and what pooling leaves of its classes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stacnet.data.scalesignal import codewords, generate, layout_grids, scale_blind_ceiling
from stacnet.data_spec import ScaleSignal

specs = st.builds(
    ScaleSignal,
    grid=st.sampled_from([2, 8]),
    layouts=st.integers(1, 6),
    size=st.just(32),
    second_grid=st.sampled_from([0, 4]),
    jitter=st.integers(0, 3),
    flip=st.floats(0, 1),
    seed=st.integers(0, 1000),
)


def pooled(words_Cgg: np.ndarray, *, scale: int) -> np.ndarray:
    """Mean over scale x scale regions, (C, scale, scale)."""
    side = words_Cgg.shape[1] // scale
    return words_Cgg.reshape(len(words_Cgg), scale, side, scale, side).mean((2, 4))


def orientation(images_N3SS: np.ndarray) -> np.ndarray:
    """Positive where stripes are constant along x + y: a local detector, (N, S-1, S-1)."""
    x_NSS = images_N3SS[:, 0].astype(float) - 127.5
    rising = x_NSS[:, 1:, :-1] * x_NSS[:, :-1, 1:]
    falling = x_NSS[:, :-1, :-1] * x_NSS[:, 1:, 1:]
    return rising - falling


@given(specs)
def test_every_aligned_2x2_block_of_a_layout_sums_to_zero(spec):
    for word, grid in zip(codewords(spec)[2:], layout_grids(spec), strict=True):
        coarse = pooled(word[None], scale=grid)
        assert set(np.unique(coarse)) == {-1, 1}
        assert not pooled(coarse, scale=grid // 2).any()


@given(specs)
def test_all_classes_have_distinct_codewords(spec):
    assert len({word.tobytes() for word in codewords(spec)}) == 2 + spec.layouts


@given(specs, st.integers(0, 40), st.integers(1, 20))
def test_an_image_does_not_depend_on_which_others_are_made(spec, start, count):
    images, labels = generate(spec, split="val", stop=start + count)
    alone, alone_labels = generate(spec, split="val", start=start, stop=start + count)
    np.testing.assert_array_equal(images[start:], alone)
    np.testing.assert_array_equal(labels[start:], alone_labels)


def test_images_do_not_depend_on_the_block_they_were_rendered_in():
    spec = ScaleSignal()
    images, _ = generate(spec, split="train", stop=600)
    late, _ = generate(spec, split="train", start=510, stop=515)
    np.testing.assert_array_equal(images[510:515], late)


def test_splits_and_seeds_give_different_images():
    images = [
        generate(ScaleSignal(seed=seed), split=split, stop=4)[0]
        for seed in (0, 1)
        for split in ("train", "val", "test")
    ]
    assert len({image.tobytes() for image in images}) == 6


def test_images_are_grey_bytes_with_three_equal_channels_and_balanced_labels():
    images, labels = generate(ScaleSignal(size=32), split="train", stop=80)
    assert images.dtype == np.uint8
    assert images.shape == (80, 3, 32, 32)
    assert np.all(images == images[:, :1])
    assert np.bincount(labels).tolist() == [10] * 8


@pytest.mark.parametrize("grid", [2, 4])
def test_layouts_are_told_apart_at_their_grid_and_not_below(grid):
    spec = ScaleSignal(grid=grid, size=8 * grid, gap=1, noise=0.2)
    images, labels = generate(spec, split="train", stop=1600)
    energy = np.pad(orientation(images), ((0, 0), (0, 1), (0, 1)))

    def spread(scale: int) -> float:
        """Largest difference between means of layout classes, in standard errors."""
        cells = pooled(energy, scale=scale).reshape(len(energy), -1)
        means = np.stack([cells[labels == k].mean(0) for k in range(2, 8)])
        error = cells[labels > 1].std(0) / np.sqrt(200)
        return float((np.ptp(means, axis=0) / error).max())

    assert spread(grid // 2) < 6
    assert spread(grid) > 20


def test_the_scale_blind_ceiling_counts_what_is_resolved():
    assert scale_blind_ceiling(ScaleSignal()) == 0.375
    assert scale_blind_ceiling(ScaleSignal(), scale=2) == 0.375
    assert scale_blind_ceiling(ScaleSignal(), scale=4) == 1.0
    mixture = ScaleSignal(grid=2, second_grid=4)
    assert [scale_blind_ceiling(mixture, scale=s) for s in (1, 2, 4)] == [0.375, 0.75, 1.0]


def test_flip_turns_cells_over():
    spec = ScaleSignal(size=32, noise=0.0)
    turned, labels = generate(ScaleSignal(size=32, noise=0.0, flip=1.0), split="train", stop=400)
    straight, _ = generate(spec, split="train", stop=400)
    sign = np.sign(orientation(straight)[labels == 0].mean())
    assert np.sign(orientation(turned)[labels == 0].mean()) == -sign


def test_gap_leaves_a_flat_border_in_each_cell():
    images, _ = generate(ScaleSignal(size=32, gap=2, noise=0.0), split="train", stop=8)
    border = np.arange(32) % 8
    assert np.all(images[:, :, (border < 2) | (border > 5)] == 128)
    assert images[:, :, border == 3].std() > 10


def test_jitter_moves_the_grid_by_at_most_its_size():
    spec = ScaleSignal(size=32, gap=2, noise=0.0, jitter=2)
    images, _ = generate(spec, split="train", stop=64)
    flat_rows = (images[:, 0] == 128).all(2)
    assert len(np.unique(flat_rows, axis=0)) == 5


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({"grid": 3}, "grid must be a power of two"),
        ({"grid": 2, "layouts": 7}, "layouts must be between 1 and what a 2x2 grid has"),
        ({"second_grid": 4}, "second_grid must be another grid"),
        ({"size": 18}, "size must be a multiple of the grid"),
        ({"gap": 2}, "cells wider than two gaps"),
        ({"flip": 1.5}, "flip must be a number from 0 to 1"),
        ({"val": 0}, "val must be a whole number of at least 1"),
    ],
)
def test_impossible_settings_are_refused_with_the_rule(wrong, rule):
    with pytest.raises(ValueError, match=rule):
        ScaleSignal(**wrong)
