"""The cache of prepared images: resumed after a kill, checksummed, never half there."""

import os
import time

import numpy as np
import pytest
from official_data import raw_batch, write_imagenet

from stacnet.data import prepare as prepare_module
from stacnet.data.cache import open_cache, verify
from stacnet.data.images import load
from stacnet.data.prepare import open_source, prepare
from stacnet.data_spec import Prepared


@pytest.fixture
def imagenet(tmp_path):
    folder = tmp_path / "official"
    write_imagenet(folder)
    return folder


class KillError(Exception):
    """Stands for a kill between two blocks."""


def test_a_killed_prepare_goes_on_where_it_was(imagenet, tmp_path, monkeypatch):
    monkeypatch.setattr(prepare_module, "BLOCK_BYTES", 12 * 768)
    whole = prepare(open_source(imagenet), tmp_path / "whole")
    seen = []

    def kill(done, total):
        seen.append(done)
        if done > 150:
            raise KillError

    with pytest.raises(KillError):
        prepare(open_source(imagenet), tmp_path / "cache", progress=kill)
    assert not (tmp_path / "cache").exists()
    rest = []
    cache = prepare(
        open_source(imagenet), tmp_path / "cache", progress=lambda done, total: rest.append(done)
    )
    assert rest[0] > seen[-1]
    assert cache.checksum == whole.checksum
    assert cache.mean_C == whole.mean_C
    np.testing.assert_array_equal(cache.train[0], whole.train[0])
    verify(tmp_path / "cache")


def test_a_prepare_begun_on_other_files_starts_again(imagenet, tmp_path):
    def kill(done, total):
        raise KillError

    with pytest.raises(KillError):
        prepare(open_source(imagenet), tmp_path / "cache", progress=kill)
    write_imagenet(imagenet, seed=5)
    os.utime(imagenet / "val_data", (time.time() + 5, time.time() + 5))
    prepare(open_source(imagenet), tmp_path / "cache")
    first = raw_batch(imagenet, "train_data_batch_1")["data"]
    images, _ = open_cache(tmp_path / "cache").train
    np.testing.assert_array_equal(images[:30].reshape(30, -1), first)


def test_a_cache_is_never_overwritten(imagenet, tmp_path):
    prepare(open_source(imagenet), tmp_path / "cache")
    with pytest.raises(ValueError, match="cache: already there"):
        prepare(open_source(imagenet), tmp_path / "cache")


def test_a_changed_pixel_or_label_is_found(imagenet, tmp_path):
    prepare(open_source(imagenet), tmp_path / "cache")
    verify(tmp_path / "cache")
    for name in ("train_images.npy", "test_labels.npy"):
        path = tmp_path / "cache" / name
        good = path.read_bytes()
        path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        with pytest.raises(ValueError, match="damaged"):
            verify(tmp_path / "cache")
        path.write_bytes(good)


def test_a_cache_of_another_checksum_is_refused(imagenet, tmp_path):
    cache = prepare(open_source(imagenet), tmp_path / "cache")
    load(Prepared(name="cache", checksum=cache.checksum), folder=tmp_path)
    with pytest.raises(ValueError, match="made on other data: checksum must be 000"):
        load(Prepared(name="cache", checksum="0" * 64), folder=tmp_path)


def test_no_cache_and_a_torn_cache_each_say_so(imagenet, tmp_path):
    with pytest.raises(ValueError, match="no prepared data here"):
        open_cache(tmp_path / "nothing")
    prepare(open_source(imagenet), tmp_path / "cache")
    path = tmp_path / "cache" / "train_images.npy"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"train_images.npy: damaged"):
        open_cache(tmp_path / "cache")
