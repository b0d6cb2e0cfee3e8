"""Augmentation: each option does what it says, to the images it should."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stacnet.data.augment import Scaling, augment, erase, flip_crop, mix
from stacnet.data_spec import ScaleSignal
from stacnet.protocol import Protocol


def images(num: int = 64, *, size: int = 12) -> torch.Tensor:
    values = np.random.default_rng(0).integers(0, 256, (num, 3, size, size), dtype=np.uint8)
    return torch.from_numpy(values)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_flip_mirrors_about_half_of_the_images_and_leaves_the_rest():
    x = images()
    flipped = flip_crop(x, flip=True, padding=0, rng=rng())
    same = (flipped == x).flatten(1).all(1)
    mirrored = (flipped == x.flip(3)).flatten(1).all(1)
    assert torch.all(same ^ mirrored)
    assert 20 < mirrored.sum() < 44


@given(st.integers(1, 5), st.integers(0, 100))
def test_a_crop_is_a_window_of_the_reflected_image(padding, seed):
    x = images(4)
    cropped = flip_crop(x, flip=False, padding=padding, rng=rng(seed))
    padded = torch.nn.functional.pad(x.float(), [padding] * 4, mode="reflect").byte()
    windows = padded.unfold(2, 12, 1).unfold(3, 12, 1)  # (4, 3, 2p+1, 2p+1, 12, 12)
    for image, window in zip(cropped, windows, strict=True):
        assert (window == image[:, None, None]).all(0).all(-1).all(-1).any()


def test_crops_reach_every_shift():
    x = images(2000, size=4)
    cropped = flip_crop(x, flip=False, padding=1, rng=rng())
    unmoved = (cropped == x).flatten(1).all(1).float().mean()
    assert unmoved == pytest.approx(1 / 9, abs=0.03)


def test_normalised_images_have_zero_mean_and_unit_variance():
    x = images()
    mean, std = x.float().mean((0, 2, 3)), x.float().std((0, 2, 3))
    scaling = Scaling(tuple(mean.tolist()), tuple(std.tolist()), device=torch.device("cpu"))
    y = scaling.normalise(x)
    torch.testing.assert_close(y.mean((0, 2, 3)), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(y.std((0, 2, 3)), torch.ones(3), atol=1e-4, rtol=0)


def test_erasing_blanks_one_rectangle_in_the_given_share_of_images():
    x = torch.ones(400, 3, 32, 32)
    blank = erase(x, probability=0.25, rng=rng()) == 0
    hit = blank.flatten(1).any(1)
    assert 0.15 < hit.float().mean() < 0.35
    area = blank[hit].float().mean((1, 2, 3))
    assert area.min() > 0.01
    assert area.max() < 0.4
    box = blank[hit].any(3, keepdim=True) & blank[hit].any(2, keepdim=True)
    assert torch.equal(box, blank[hit])


def test_mixup_adds_two_images_with_the_share_it_states():
    x, y = torch.rand(16, 3, 4, 4), torch.arange(16)
    batch = mix(x, y, mixup=1.0, cutmix=0.0, rng=rng())
    expected = batch.share * x[batch.y_B] + (1 - batch.share) * x[batch.other_B]
    torch.testing.assert_close(batch.x_BCHW, expected)
    assert 0 < batch.share < 1
    assert not torch.equal(batch.y_B, batch.other_B)


def test_cutmix_pastes_one_box_and_states_its_area():
    x, y = torch.rand(16, 3, 32, 32), torch.arange(16)
    batch = mix(x, y, mixup=0.0, cutmix=1.0, rng=rng(3))
    kept = batch.x_BCHW == x
    pasted = batch.x_BCHW == x[batch.other_B]
    assert torch.all(kept | pasted)
    moved = batch.y_B != batch.other_B
    assert kept[moved].float().mean() == pytest.approx(batch.share, abs=0.01)


def test_mixup_and_cutmix_together_take_turns():
    x, y = torch.rand(4, 3, 8, 8), torch.arange(4)
    mixed = [mix(x, y, mixup=0.5, cutmix=0.5, rng=rng(seed)).x_BCHW for seed in range(40)]
    is_cut = [bool(torch.isin(batch, x).all()) for batch in mixed]
    assert 5 < sum(is_cut) < 35


@pytest.mark.parametrize(
    "option",
    [{"flip": True}, {"crop_padding": 2}, {"erasing": 0.5}, {"mixup": 0.5}, {"cutmix": 0.5}],
)
def test_each_option_of_the_protocol_changes_the_batch_and_is_repeatable(option):
    scaling = Scaling((128.0,) * 3, (64.0,) * 3, device=torch.device("cpu"))
    x, y = images(), torch.arange(64)

    def batch(**options):
        protocol = Protocol(data=ScaleSignal(), **options)
        return augment(x, y, protocol=protocol, scaling=scaling, rng=rng()).x_BCHW

    assert torch.equal(batch(), scaling.normalise(x))
    assert not torch.equal(batch(**option), batch())
    assert torch.equal(batch(**option), batch(**option))
