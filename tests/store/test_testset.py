"""test_images.parquet: written when a study begins, proven, made again; judging needs no data."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from searches import TINY, cheap

from search.drive.run import Options, resume, search
from search.errors import StoreError
from search.store import repair as repairing
from search.store.check import check
from search.store.repair import repair
from search.store.sealed import seal_table
from search.store.storage import Storage
from search.store.store import Store
from search.store.testset import FILE, TEST_IMAGES, read_test_images, write_test_images
from search.study.study import Study
from stacnet.data.images import load, whole

HERE = Options(in_process=True, progress=False)


def one_training() -> Study:
    study = cheap(epochs=1, seeds=(0,))
    return replace(study, space=replace(study.space, scales=(("off",),) * 3))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    search(one_training(), tmp_path / "study", options=HERE)
    return Store(tmp_path / "study")


def test_a_study_begins_with_what_judging_wants_to_know_of_its_test_images(store: Store) -> None:
    table = read_test_images(store.storage)
    assert table.schema.equals(TEST_IMAGES)
    np.testing.assert_array_equal(table["label"].to_numpy(), load(TINY).test.labels_N)
    assert table["group"].null_count == len(table) == TINY.test
    assert check(store) == []


def test_groups_are_kept(tmp_path: Path) -> None:
    labels_N, groups_N = np.array([2, 0, 1, 1]), np.array([7, 7, 3, 3])
    images = whole(np.zeros((4, 3, 1, 1), np.uint8), labels_N, groups_N=groups_N)
    write_test_images(Storage(tmp_path), images)
    assert read_test_images(Storage(tmp_path)).to_pydict() == {
        "image": [0, 1, 2, 3],
        "label": [2, 0, 1, 1],
        "group": [7, 7, 3, 3],
    }


def test_a_damaged_one_is_named_set_aside_and_made_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repairing, "BEAT_S", 0.0)
    whole_bytes = store.storage.read(FILE)
    for bad in (b"", whole_bytes[:-1], whole_bytes.replace(b"label", b"lapel")):
        store.storage.write(FILE, bad)
        assert any(FILE in line for line in check(store))
        with pytest.raises(StoreError, match=r"test_images\.parquet: must "):
            read_test_images(store.storage)
        assert any(FILE in line and "stac resume" in line for line in repair(store))
        assert not store.storage.exists(FILE)
        resume(store.address, options=HERE)
        assert store.storage.read(FILE) == whole_bytes
    assert check(store) == []


@pytest.mark.parametrize(
    ("columns", "rule"),
    [
        ({"image": [0, 2], "label": [0, 1], "group": [0, 1]}, "image must count from 0"),
        ({"image": [0, 1], "label": [0, None], "group": [0, 1]}, "label must be there in each row"),
        ({"image": [0, 1], "label": [0, 1], "group": [0, None]}, "group in all or none"),
        ({"image": [0, 1], "label": [0, 1]}, "must list test images"),
    ],
)
def test_a_list_that_cannot_be_is_refused(tmp_path: Path, columns: dict, rule: str) -> None:
    Storage(tmp_path).write(FILE, seal_table(pa.table(columns)))
    with pytest.raises(StoreError, match=rf"test_images\.parquet: .*{rule}"):
        read_test_images(Storage(tmp_path))


def test_what_is_there_is_not_written_again(store: Store) -> None:
    path = Path(store.address) / FILE
    before = path.stat()
    search(one_training(), store.address, options=HERE)
    assert path.stat() == before
