"""Right answers per test image, groups of images, and trainings that diverged."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from planted import epochs_table, graded_accuracy, small_study, trainings_table

from analysis.judge.answers import answers_from_table
from analysis.judge.compare import compare
from analysis.judge.results import results_from_table
from analysis.predict.picks import Picks, make_pick
from analysis.report.facts import gather
from search.errors import StoreError
from search.store.rows import study_and_space_id
from search.store.schema import CELLS
from search.store.storage import Storage
from search.store.store import Store
from search.store.testset import FILE, image_groups, write_test_images
from search.study.networks import networks
from stacnet.data.images import ImageSet

IMAGES = 500
STUDY = small_study(seeds=(0, 1, 2, 3, 4, 5))
AMONG = networks(STUDY.space)
PROTOCOL = STUDY.protocol.protocol_id


def answered() -> pa.Table:
    """All trainings, with answers whose shares are their accuracies; some images are hard."""
    rng = np.random.default_rng(0)
    ease_I, truth_N = rng.random(IMAGES), graded_accuracy(AMONG)
    rows = trainings_table(STUDY, np.repeat(truth_N[:, None], 6, axis=1)).to_pylist()
    for row in rows:
        truth = truth_N[AMONG.row[row["network_id"]]]
        right_I = ease_I + rng.normal(0, 0.1, IMAGES) < truth
        row |= {"test_correct": np.packbits(right_I).tobytes(), "test_acc_last": right_I.mean()}
    return pa.Table.from_pylist(rows, schema=CELLS)


def stored(folder: str, table: pa.Table) -> Store:
    """A study with these trainings and a perfect primary rule."""
    store = Store(folder)
    store.begin(STUDY)
    store.write_merged("cells", table)
    store.write_merged("epochs", epochs_table(table))
    study_id, space_id = study_and_space_id(STUDY)
    picks = Picks(
        space_id=space_id,
        study_id=study_id,
        protocol_id=PROTOCOL,
        primary_rule=STUDY.primary_rule,
        weights=(),
        network_ids=AMONG.network_ids,
        vanilla_s=1.0,
        look_s=1.0,
        picks=(make_pick("R2+R5", "rule", graded_accuracy(AMONG), AMONG, cost_s=2.0),),
    )
    store.storage.write("picks.json", picks.to_json().encode())
    return store


def with_ends(table: pa.Table, ends: dict[tuple[int, int], str]) -> pa.Table:
    """The table with other ends of the trainings (row of the network, seed)."""
    rows = table.to_pylist()
    for row in rows:
        end = ends.get((AMONG.row[row["network_id"]], row["seed"]))
        if end:
            row |= {"status": end, "test_acc_last": None, "test_correct": None}
    return pa.Table.from_pylist(rows, schema=CELLS)


def test_bits_are_read_back_and_the_number_of_images_is_not_that_of_bits():
    table = answered()
    results = results_from_table(table, protocol_id=PROTOCOL, known=AMONG.network_ids)
    found = answers_from_table(table, results, protocol_id=PROTOCOL, chance=0.125)
    assert found is not None
    assert found.images == IMAGES < 8 * len(table["test_correct"][0].as_py())
    right_CI = found.right(3, np.array([5, 1]))
    assert right_CI is not None
    assert right_CI.mean(1) == pytest.approx(results.test_NS[3, [5, 1]])


def test_bits_that_do_not_fit_their_accuracy_are_refused():
    rows = answered().to_pylist()
    rows[0]["test_acc_last"] += 0.01
    table = pa.Table.from_pylist(rows, schema=CELLS)
    results = results_from_table(table, protocol_id=PROTOCOL, known=AMONG.network_ids)
    with pytest.raises(ValueError, match="test_correct must fit test_acc_last"):
        answers_from_table(table, results, protocol_id=PROTOCOL, chance=0.125)


def test_stored_answers_widen_the_intervals_and_old_rows_say_that_they_cannot(tmp_path):
    with_bits = compare(stored(str(tmp_path / "new"), answered()))
    rows = [row | {"test_correct": None} for row in answered().to_pylist()]
    old = pa.Table.from_pylist(rows, schema=CELLS)
    without = compare(stored(str(tmp_path / "old"), old))
    assert (with_bits.test_images, with_bits.image_groups) == (IMAGES, IMAGES)
    assert (without.test_images, without.image_groups) == (None, None)
    assert any("not stored" in line for line in without.missing)
    assert not any("not stored" in line for line in with_bits.missing)
    narrow, wide = without.best.accuracy, with_bits.best.accuracy
    assert narrow.value == pytest.approx(wide.value)
    assert narrow.high - narrow.low < wide.high - wide.low


def test_groups_of_images_are_drawn_together(tmp_path):
    store = stored(str(tmp_path), answered())
    alone = compare(store).best.accuracy
    ids = np.arange(IMAGES)
    images = ImageSet(np.zeros((IMAGES, 1, 1, 1), np.uint8), ids, ids % 8, ids // 50)
    write_test_images(store.storage, images)
    found = compare(store)
    assert found.image_groups == 10
    assert found.best.accuracy.value == alone.value
    assert image_groups(store.storage) == pytest.approx(ids // 50)


def test_without_groups_each_image_stands_alone_and_a_bad_file_is_named(tmp_path):
    storage = Store(str(tmp_path)).storage
    assert image_groups(storage) is None
    four = np.zeros((4, 1, 1, 1), np.uint8)
    write_test_images(storage, ImageSet(four, np.arange(4), np.zeros(4, np.int64)))
    assert image_groups(storage) is None
    storage.write(FILE, b"no parquet")
    with pytest.raises(StoreError, match=FILE):
        image_groups(storage)


def test_a_diverged_training_counts_as_chance_and_its_network_is_never_the_best(tmp_path):
    best = int(np.argmax(graded_accuracy(AMONG)))
    second = int(np.argsort(graded_accuracy(AMONG))[-2])
    # the best network diverges with a seed that measures, the second with one that selects
    table = with_ends(answered(), {(best, 4): "diverged", (second, 0): "diverged"})
    found = compare(stored(str(tmp_path), table))
    assert found.best.network_id not in (AMONG.network_ids[best], AMONG.network_ids[second])
    assert set(found.diverged) == {AMONG.network_ids[best], AMONG.network_ids[second]}
    line = next(line for line in found.missing if "diverged" in line)
    assert line.startswith("2 trainings diverged; they count as chance")
    assert AMONG.network_ids[best] in line
    assert not any("not finished" in line for line in found.missing)
    pick = found.primary.network
    assert pick.network_id == AMONG.network_ids[best]
    assert pick.accuracy.value < 0.8  # two seeds near 0.8, one at chance
    assert found.test_images == IMAGES


def test_where_every_network_diverged_the_least_bad_is_the_best(tmp_path):
    ends = {(row, 5): "diverged" for row in range(len(AMONG))}
    found = compare(stored(str(tmp_path), with_ends(answered(), ends)))
    assert len(found.diverged) == len(AMONG)
    assert found.best.accuracy.value > 0.3


def test_a_report_reads_each_table_once(tmp_path, monkeypatch):
    store, seen = stored(str(tmp_path), answered()), Counter()
    read = Storage.read

    def counting(storage, name):
        seen[name.split("/")[0]] += 1
        return read(storage, name)

    monkeypatch.setattr(Storage, "read", counting)
    facts = gather(store)
    assert facts.comparison is not None
    assert facts.comparison.test_images == IMAGES
    assert {name: seen[name] for name in ("cells", "epochs")} == {"cells": 1, "epochs": 1}
