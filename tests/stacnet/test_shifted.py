"""Shifted layouts: what no sum over cells can tell, and what a gate at the right scale can."""

from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stacnet.data.images import load
from stacnet.data.shifted import blind_ceiling, codewords, generate, orbits
from stacnet.data_spec import DOT_GRID, ORBITS, ShiftedLayouts
from stacnet.protocol import Protocol
from stacnet.spec import AttentionSpec, resnet
from stacnet.train import Trainer

pytestmark = pytest.mark.slow  # takes seconds

SMALL = ShiftedLayouts(pattern="grating", size=16, gap=1, train=480, val=400, test=8)
SAWTOOTH = ShiftedLayouts(pattern="sawtooth", dots="hidden")
specs = st.builds(
    ShiftedLayouts,
    pattern=st.sampled_from(["grating", "sawtooth"]),
    grid=st.sampled_from([2, 4]),
    layouts=st.integers(0, 3),
    gap=st.just(1),
    flip=st.floats(0, 1),
    dots=st.sampled_from(["none", "hidden", "shortcut", "second"]),
    seed=st.integers(0, 1000),
)


def signs(spec: ShiftedLayouts, images_N3SS: np.ndarray) -> np.ndarray:
    """Sign of each cell's grating, read from its pixels: (N, g, g)."""
    x_NSS = images_N3SS[:, 0].astype(float) - 127.5
    found_NSS = np.zeros_like(x_NSS)
    found_NSS[:, :-1, :-1] = x_NSS[:, 1:, :-1] * x_NSS[:, :-1, 1:]
    found_NSS[:, :-1, :-1] -= x_NSS[:, :-1, :-1] * x_NSS[:, 1:, 1:]
    cell = spec.size // spec.grid
    return np.sign(found_NSS.reshape(-1, spec.grid, cell, spec.grid, cell).sum((2, 4)))


@pytest.mark.parametrize("grid", ORBITS)
def test_no_shift_turns_a_layout_into_another_and_no_even_block_tells_them(grid: int) -> None:
    words = orbits(grid)
    shifted = [np.roll(word, by, (0, 1)) for word in words for by in product(range(grid), repeat=2)]
    ids = [
        {np.roll(word, by, (0, 1)).tobytes() for by in product(range(grid), repeat=2)}
        for word in words
    ]
    assert len(words) == ORBITS[grid]
    assert all(one.isdisjoint(other) for i, one in enumerate(ids) for other in ids[:i])
    for side in range(2, grid + 1, 2):
        for word in shifted:
            windows = np.lib.stride_tricks.sliding_window_view(word, (side, side))
            assert not windows.sum((2, 3)).any()


@given(specs, st.integers(0, 40), st.integers(1, 20))
def test_an_image_depends_on_its_number_alone(spec: ShiftedLayouts, start: int, num: int) -> None:
    images, labels = generate(spec, split="val", stop=start + num)
    alone, alone_labels = generate(spec, split="val", start=start, stop=start + num)
    np.testing.assert_array_equal(images[start:], alone)
    np.testing.assert_array_equal(labels[start:], alone_labels)


@pytest.mark.parametrize(("grid", "layouts"), [(2, 3), (4, 6)])
def test_each_layout_shows_every_shift_equally_often(grid: int, layouts: int) -> None:
    spec = ShiftedLayouts(pattern="grating", grid=grid, layouts=layouts, gap=1, noise=0)
    images, labels = generate(spec, split="train", stop=2 * grid**2 * (2 + layouts))
    read = signs(spec, images)
    words = codewords(spec)[0]
    for label in range(2, 2 + layouts):
        shown = read[labels == label]
        assert not shown.mean(0).any()  # so no weights on single cells gain anything
        wanted = [np.roll(words[label], by, (0, 1)) for by in product(range(grid), repeat=2)]
        counts = [sum(np.array_equal(one, word) for one in shown) for word in wanted]
        assert min(counts) >= 2
    for label, sign in ((0, 1), (1, -1)):
        assert (read[labels == label] == sign).all()


def test_a_filter_that_is_not_learned_hardly_sees_the_direction_of_a_sawtooth() -> None:
    images, labels = generate(replace(SAWTOOTH, noise=0.0, dots="none"), split="train", stop=1000)
    x_NSS = images[:, 0].astype(float) - 127.5
    steps = np.diff(x_NSS[np.isin(labels, (0, 1))], axis=2)
    which = labels[np.isin(labels, (0, 1))]

    def contrast(feature: np.ndarray) -> float:
        up, down = (feature[which == sign].mean() for sign in (0, 1))
        return abs(up - down) / (up + down)

    assert contrast(np.maximum(steps, 0)) < 0.05
    assert contrast(np.maximum(steps - 40, 0)) > 0.5  # a bias, as training finds one


def test_a_second_layout_has_shifts_of_its_own_and_no_dot_alone_tells_of_it() -> None:
    spec = ShiftedLayouts(pattern="grating", layouts=2, gap=13, size=64, noise=0.0, dots="second")
    images, labels = generate(spec, split="train", stop=1024)
    assert sorted(set(labels)) == list(range(16))
    assert blind_ceiling(spec) == pytest.approx(0.75**2)
    shown = np.sign(images[:, 0, 1::4, 1::4].astype(int) - 127)  # in the gaps: no grating there
    gap = [place for place in range(16) if (4 * place + 1) % 32 < 13 or (4 * place + 1) % 32 >= 19]
    cells, dots = codewords(spec)
    for label in range(16):
        of_class = shown[labels == label]
        if label % 4 < 2:
            assert (of_class[:, gap][:, :, gap] == dots[label][gap][:, gap]).all()
        else:
            assert not of_class[:, gap][:, :, gap].mean(0).any()
        assert (cells[label] == cells[4 * (label // 4)]).all()
    aligned = dots.reshape(16, 8, 2, 8, 2).sum((2, 4))
    assert not aligned[np.arange(16) % 4 >= 2].any()


@pytest.mark.parametrize("dots", ["hidden", "shortcut"])
def test_what_dots_tell_of_the_class(dots: str) -> None:
    spec = replace(SAWTOOTH, noise=0.0, dots=dots, train=1000, val=1000)
    words = codewords(spec)[1]
    step = spec.size // DOT_GRID
    for split, share in (("train", 0.8), ("val", 0.8 if dots == "hidden" else 0.16)):
        images, labels = generate(spec, split=split, stop=1000)  # type: ignore[arg-type]
        without, _ = generate(replace(spec, dots="none"), split=split, stop=1000)  # type: ignore[arg-type]
        added_NSS = np.sign(images.astype(int) - without)[:, 0]
        signs_NGG = added_NSS[:, step // 2 :: step, step // 2 :: step]
        match_N = (signs_NGG * words[labels]).mean((1, 2))
        told = np.abs(match_N).mean() if dots == "hidden" else match_N.mean()
        assert told == pytest.approx(share, abs=0.1)
        if dots == "hidden":
            means = [signs_NGG[labels == label].mean(0) for label in range(5)]
            assert np.abs(means).max() < 0.2  # each dot alone says nothing
    blocks = words.reshape(5, DOT_GRID // 2, 2, DOT_GRID // 2, 2)
    assert not blocks.sum((2, 4)).any()


def test_the_ceiling_counts_signs() -> None:
    assert blind_ceiling(ShiftedLayouts()) == pytest.approx(0.6)
    assert blind_ceiling(ShiftedLayouts(grid=4, layouts=6, gap=1)) == pytest.approx(0.375)
    assert blind_ceiling(ShiftedLayouts(flip=0.5)) == pytest.approx(0.2)
    falling = [blind_ceiling(ShiftedLayouts(flip=flip)) for flip in (0, 0.1, 0.2, 0.3)]
    assert all(more > less for more, less in pairwise(falling))
    rng = np.random.default_rng(0)
    spec = ShiftedLayouts(flip=0.2, grid=4, layouts=2, gap=1)
    labels = rng.integers(4, size=200_000)
    flips = np.where(rng.random((len(labels), 4, 4)) < spec.flip, -1, 1)
    plus = ((codewords(spec)[0][labels] * flips) > 0).sum((1, 2))
    seen = np.array([[(plus[labels == c] == k).mean() for k in range(17)] for c in range(3)])
    assert blind_ceiling(spec) == pytest.approx(seen.max(0).sum() / 4, abs=0.01)


def accuracy(spec: ShiftedLayouts, *, kind: str, scale: int, epochs: int = 6) -> float:
    """Validation accuracy of a patch-limited network with two such gates."""
    gate = AttentionSpec(kind=kind, scale=scale, reduction=1, padding="circular")  # type: ignore[arg-type]
    network = resnet(
        8,
        width=8,
        kernels=(1, 1, 1),
        input_size=spec.size,
        classes=2 + spec.layouts,
        attention=(gate, gate, None),
    )
    trainer = Trainer(
        network, Protocol(data=spec, epochs=epochs, batch_size=16, lr=0.05), load(spec)
    )
    while not trainer.done:
        trainer.run()
    return trainer.results[-1].val_acc


@pytest.mark.parametrize(("kind", "scale"), [("static", 2), ("static", 4), ("stac", 1)])
def test_what_sees_no_layout_stays_at_the_ceiling(kind: str, scale: int) -> None:
    assert accuracy(SMALL, kind=kind, scale=scale) <= blind_ceiling(SMALL) + 0.05


def test_a_gate_at_the_right_scale_solves_it() -> None:
    assert accuracy(SMALL, kind="stac", scale=2) > 0.9


@pytest.mark.long
@pytest.mark.parametrize("kind", ["static", "stac"])
@pytest.mark.parametrize(
    "spec", [SAWTOOTH, ShiftedLayouts(pattern="grating", grid=4, layouts=6, gap=1, train=1024)]
)
def test_the_studies_data_keep_the_law(spec: ShiftedLayouts, kind: str) -> None:
    found = accuracy(spec, kind=kind, scale=spec.grid, epochs=8 if kind == "stac" else 30)
    assert found > 0.9 if kind == "stac" else found <= blind_ceiling(spec) + 0.04


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"grid": 3}, r"grid must be one of \(2, 4, 8\), got grid=3"),
        ({"layouts": 4}, r"under shifts \(3\), got layouts=4"),
        ({"size": 33}, "multiple of the grid with cells wider than two gaps, got size=33"),
        ({"gap": 8}, "cells wider than two gaps"),
        ({"size": 24, "dots": "hidden"}, "size with dots must be a multiple of 8 from 32"),
        ({"size": 48, "dots": "second"}, "second layout of dots must be a multiple of 32"),
        ({"flip": 1.5}, "flip"),
    ],
)
def test_what_cannot_be_is_refused(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ShiftedLayouts(**change)
