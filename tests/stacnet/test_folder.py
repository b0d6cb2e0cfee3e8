"""Folders of images: links, hidden files, and class folders without a test split."""

import os

import numpy as np
import pytest
from PIL import Image

from stacnet.data.cache import open_cache, verify
from stacnet.data.meta import DrawnSplit
from stacnet.data.prepare import open_source, prepare


def write_images(folder, num: int, *, first: int = 0) -> None:
    """Images whose grey is their number."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + num):
        Image.new("L", (4, 4), number).save(folder / f"{number:03}.png")


@pytest.fixture
def pictures(tmp_path):
    for label, name in enumerate(("blue", "red")):
        write_images(tmp_path / "pictures" / "train" / name, 4, first=10 * label)
        write_images(tmp_path / "pictures" / "test" / name, 2, first=100 + 10 * label)
    return tmp_path / "pictures"


@pytest.fixture
def flat(tmp_path):
    for label, (name, num) in enumerate((("blue", 10), ("green", 3), ("red", 20))):
        write_images(tmp_path / "flat" / name, num, first=50 * label)
    return tmp_path / "flat"


def greys(source, split: str) -> list[int]:
    parts = [part for part in source.parts if part.split == split]
    return [int(x[0, 0, 0]) for p in parts for x in p.read(0, len(p.labels_N))]


def test_a_loop_of_links_ends_and_each_file_counts_once(pictures):
    (pictures / "train" / "red" / "loop").symlink_to(pictures / "train" / "red")
    (pictures / "train" / "red" / "deep").mkdir()
    (pictures / "train" / "red" / "deep" / "up").symlink_to("..")
    (pictures / "train" / "red" / "again.png").symlink_to("010.png")
    assert greys(open_source(pictures, size=4), "train") == [0, 1, 2, 3, 10, 11, 12, 13]


def test_a_class_folder_may_be_a_link_to_elsewhere(pictures, tmp_path):
    (pictures / "train" / "red").rename(tmp_path / "elsewhere")
    (pictures / "train" / "red").symlink_to(tmp_path / "elsewhere")
    assert greys(open_source(pictures, size=4), "train") == [0, 1, 2, 3, 10, 11, 12, 13]


def test_an_image_of_two_classes_or_of_two_splits_is_refused(pictures):
    link = pictures / "train" / "blue" / "also.png"
    link.symlink_to(pictures / "train" / "red" / "010.png")
    with pytest.raises(ValueError, match=r"010.png: an image must be in one class of one split"):
        open_source(pictures, size=4)
    link.unlink()
    (pictures / "test").rename(pictures / "old")
    (pictures / "test").symlink_to("train")
    with pytest.raises(
        ValueError, match=r"test/blue/000.png: an image must be .* got it at .*train"
    ):
        open_source(pictures, size=4)


def test_hidden_files_and_folders_are_no_images_and_no_classes(pictures):
    for split in ("train", "test"):
        (pictures / split / ".ipynb_checkpoints").mkdir()
    (pictures / "train" / "red" / "._010.png").write_text("what macOS leaves behind")
    source = open_source(pictures, size=4)
    assert source.class_names == ("blue", "red")
    assert len(source.labels("train")) == 8


def test_what_is_no_file_is_named_and_not_waited_for(pictures):
    os.mkfifo(pictures / "train" / "red" / "pipe.png")
    with pytest.raises(ValueError, match=r"pipe.png: an image must be a file, or a link to one"):
        open_source(pictures, size=4)


def test_an_empty_class_is_named(pictures):
    for split in ("train", "test"):
        (pictures / split / "green").mkdir()
    with pytest.raises(ValueError, match="train/green: a class must have images"):
        open_source(pictures, size=4)


def test_class_folders_alone_are_split_into_a_seeded_fifth_of_each_class(flat, tmp_path):
    source = open_source(flat, size=4)
    assert np.bincount(source.labels("test")).tolist() == [2, 1, 4]
    assert np.bincount(source.labels("train")).tolist() == [8, 2, 16]
    assert sorted(greys(source, "train") + greys(source, "test")) == [
        *range(10), *range(50, 53), *range(100, 120)
    ]  # fmt: skip
    assert greys(open_source(flat, size=4), "test") == greys(source, "test")
    cache = prepare(source, tmp_path / "cache")
    assert cache.test_split == DrawnSplit(share=0.2, seed=0)
    verify(tmp_path / "cache")


def test_how_the_test_images_were_drawn_is_part_of_the_checksum(flat, tmp_path):
    drawn = prepare(open_source(flat, size=4), tmp_path / "drawn")
    source = open_source(flat, size=4)
    object.__setattr__(source, "test_split", None)
    same_images = prepare(source, tmp_path / "brought")
    assert same_images.checksum != drawn.checksum
    assert open_cache(tmp_path / "brought").test_split is None


def test_a_lone_image_of_a_class_is_trained_on(flat):
    write_images(flat / "white", 1, first=200)
    assert np.bincount(open_source(flat, size=4).labels("test")).tolist() == [2, 1, 4]


def test_a_prepare_begun_on_other_images_starts_again(pictures, tmp_path):
    class KillError(Exception):
        """Stands for a kill."""

    def kill(done, total):
        raise KillError

    with pytest.raises(KillError):
        prepare(open_source(pictures, size=4), tmp_path / "cache", progress=kill)
    Image.new("L", (4, 4), 99).save(pictures / "train" / "red" / "010.png")
    cache = prepare(open_source(pictures, size=4), tmp_path / "cache")
    assert 99 in cache.train[0]


@pytest.mark.parametrize("size", [0, -1, 100_000, 2**61])
def test_a_size_that_cannot_be_is_refused_before_anything_is_read(pictures, size):
    with pytest.raises(ValueError, match=rf"size must be in 1\.\.2048 pixels, got size={size}"):
        open_source(pictures, size=size)


def test_images_that_do_not_fit_on_the_disk_are_refused_first(pictures, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda folder: _Full())
    with pytest.raises(ValueError, match=r"the images need 0\.\d GB, got 0\.0 GB free"):
        prepare(open_source(pictures, size=2048), tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


class _Full:
    free = 1
