"""Official files to a cache: what is read, what is refused, and what a kill leaves behind."""

import os
import re

import numpy as np
import pytest
from official_data import dump, raw_batch, write_cifar10, write_cifar100, write_imagenet
from PIL import Image

from stacnet.data.cache import open_cache
from stacnet.data.images import load
from stacnet.data.prepare import open_source, prepare
from stacnet.data.summary import contact_sheet, summarise
from stacnet.data_spec import Prepared
from stacnet.protocol import Protocol
from stacnet.spec import resnet
from stacnet.train import Trainer


@pytest.fixture
def imagenet(tmp_path):
    folder = tmp_path / "official"
    write_imagenet(folder)
    return folder


def test_imagenet_pixels_and_labels_arrive_unchanged(imagenet, tmp_path):
    cache = prepare(open_source(imagenet), tmp_path / "cache")
    images, labels = cache.train
    assert images.shape == (300, 3, 16, 16)
    third = raw_batch(imagenet, "train_data_batch_3")
    np.testing.assert_array_equal(images[60:90].reshape(30, -1), third["data"])
    np.testing.assert_array_equal(labels[60:90] + 1, third["labels"])
    assert cache.test[1].min() == 0
    assert cache.test[1].max() == 999
    assert (cache.classes, cache.source) == (1000, "imagenet")


def test_red_green_and_blue_planes_are_channels(imagenet, tmp_path):
    first = raw_batch(imagenet, "train_data_batch_1")
    first["data"][:, :256], first["data"][:, 256:512] = 200, 100
    dump(imagenet / "train_data_batch_1", first)
    images, _ = prepare(open_source(imagenet), tmp_path / "cache").train
    assert np.all(images[:30, 0] == 200)
    assert np.all(images[:30, 1] == 100)


def test_mean_and_deviation_are_those_of_the_training_pixels(imagenet, tmp_path):
    cache = prepare(open_source(imagenet), tmp_path / "cache")
    pixels = np.asarray(cache.train[0], float)
    np.testing.assert_allclose(cache.mean_C, pixels.mean((0, 2, 3)))
    np.testing.assert_allclose(cache.std_C, pixels.std((0, 2, 3)))


@pytest.mark.parametrize(
    ("write", "classes", "size"),
    [(write_imagenet, 1000, 16), (write_cifar10, 10, 32), (write_cifar100, 100, 32)],
)
def test_official_files_are_prepared_inspected_trained_on_and_evaluated(
    tmp_path, write, classes, size
):
    write(tmp_path / "official")
    prepare(open_source(tmp_path / "official"), tmp_path / "cache")
    data = Prepared(name="cache", val_fraction=0.2)
    splits = load(data, folder=tmp_path)
    summary = summarise(splits)
    assert summary.counts["train"] + summary.counts["val"] == len(
        open_cache(tmp_path / "cache").train[1]
    )
    spec = resnet(8, width=4, input_size=size, classes=classes)
    trainer = Trainer(spec, Protocol(data=data, epochs=1, batch_size=32), splits)
    result = trainer.run()
    assert 0 < result.val_loss < 20
    assert trainer.evaluate("test")[0] > 0


def test_cifar10_brings_its_class_names(tmp_path):
    write_cifar10(tmp_path / "official")
    cache = prepare(open_source(tmp_path / "official"), tmp_path / "cache")
    assert cache.class_names[:2] == ("airplane", "automobile")


class Hostile:
    """Unpickles by making a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_malicious_pickle_is_refused_and_executes_nothing(imagenet, tmp_path):
    content = {"data": Hostile(tmp_path / "owned"), "labels": []}
    dump(imagenet / "train_data_batch_4", content)
    with pytest.raises(ValueError, match=r"train_data_batch_4: refused: .* got posix.mkdir"):
        open_source(imagenet)
    assert not (tmp_path / "owned").exists()


def change(folder, name, **values):
    dump(folder / name, raw_batch(folder, name) | values)


def test_a_truncated_batch_is_named(imagenet):
    path = imagenet / "train_data_batch_7"
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(ValueError, match="train_data_batch_7: truncated"):
        open_source(imagenet)


def test_a_missing_batch_is_named(imagenet):
    (imagenet / "train_data_batch_5").unlink()
    with pytest.raises(ValueError, match="needs train_data_batch_5, which is missing"):
        open_source(imagenet)


def test_a_batch_that_is_there_twice_is_named(imagenet, tmp_path):
    first = (imagenet / "train_data_batch_1").read_bytes()
    (imagenet / "train_data_batch_2").write_bytes(first)
    with pytest.raises(
        ValueError, match="train_data_batch_2: holds the same images as train_data_batch_1"
    ):
        prepare(open_source(imagenet), tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({"data": np.zeros((30, 700), np.uint8)}, r"data must have shape \(images, 3 \* side"),
        ({"data": np.zeros((0, 768), np.uint8)}, r"data must have shape \(images, 3 \* side"),
        ({"data": np.zeros((30, 768), np.float32)}, "data must be an array of uint8"),
        ({"data": [1, 2]}, "data must be an array of uint8"),
        ({"data": np.zeros((30, 3072), np.uint8)}, "all batches must have 16x16 images, got 32"),
        ({"labels": [1] * 29}, "labels must be one whole number for each of 30 images"),
        ({"labels": [0.5] * 30}, "labels must be one whole number for each of 30 images"),
        ({"labels": [0] * 30}, r"labels must be in 1\.\.1000, got 0\.\.0"),
        ({"labels": [1001] * 30}, r"labels must be in 1\.\.1000, got 1001\.\.1001"),
    ],
)
def test_a_wrong_batch_is_refused_with_its_name_the_rule_and_the_value(imagenet, values, rule):
    change(imagenet, "train_data_batch_2", **values)
    with pytest.raises(ValueError, match=f"train_data_batch_2: {rule}"):
        open_source(imagenet)


def test_a_batch_without_labels_is_refused(imagenet):
    dump(imagenet / "val_data", {"data": np.zeros((3, 768), np.uint8)})
    with pytest.raises(ValueError, match=r"val_data: a batch must have 'labels', got keys"):
        open_source(imagenet)


def test_something_else_than_a_pickle_is_refused(imagenet):
    (imagenet / "val_data").write_text("hello")
    with pytest.raises(ValueError, match="val_data: "):
        open_source(imagenet)


def test_a_folder_without_known_data_says_what_it_looks_for(tmp_path):
    with pytest.raises(ValueError, match="must hold ImageNet"):
        open_source(tmp_path)


@pytest.fixture
def picture_folder(tmp_path):
    for split, num in (("train", 4), ("val", 2)):
        for label, colour in enumerate(("red", "blue")):
            for index in range(num):
                path = tmp_path / "pictures" / split / colour / f"{index}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (30 + index, 20), (255 * (1 - label), index, 255 * label)).save(
                    path
                )
    return tmp_path / "pictures"


def test_a_folder_of_images_is_resized_to_the_stated_size(picture_folder, tmp_path):
    cache = prepare(open_source(picture_folder, size=12), tmp_path / "cache")
    images, labels = cache.train
    assert images.shape == (8, 3, 12, 12)
    assert cache.class_names == ("blue", "red")
    assert np.all(images[labels == 1][:, 0] == 255)
    assert cache.test[0].shape == (4, 3, 12, 12)


def test_a_folder_of_images_needs_a_size_and_the_same_classes(picture_folder):
    with pytest.raises(ValueError, match="needs a size, got size=None"):
        open_source(picture_folder)
    (picture_folder / "val" / "blue").rename(picture_folder / "val" / "green")
    with pytest.raises(ValueError, match="same classes, got 'blue'"):
        open_source(picture_folder, size=8)


def test_a_broken_image_is_named(picture_folder, tmp_path):
    (picture_folder / "train" / "red" / "1.png").write_text("no image")
    with pytest.raises(ValueError, match=re.escape("1.png: not a readable image")):
        prepare(open_source(picture_folder, size=8), tmp_path / "cache")


def test_the_summary_counts_classes_and_shows_some_of_each(imagenet, tmp_path):
    prepare(open_source(imagenet), tmp_path / "cache")
    splits = load(Prepared(name="cache", val_fraction=0.2), folder=tmp_path)
    summary = summarise(splits)
    assert summary.counts["test"] == 30
    assert summary.classes == 1000
    assert sum(summary.per_class["test"]) == 30
    contact_sheet(splits.train, tmp_path / "sheet.png", classes=5, each=2)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (2 + 18 * 2, 2 + 18 * 5)
