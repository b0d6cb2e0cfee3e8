"""What a search shows: few columns, and the best network as status means it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from planted import epochs_table, small_study, trainings_table
from pyarrow import Table

from search.drive.progress import Tally, duration, opening
from search.store.store import Store
from search.study.networks import networks
from search.study.study import Objective, Study
from search.study.training import Training

STUDY = small_study()


def training(point: int, seed: int, study: Study = STUDY) -> Training:
    """A training of the planted study."""
    protocol_id = study.protocol.protocol_id
    return Training(spec=study.space.spec(point), protocol_id=protocol_id, seed=seed, point=point)


def half_done(folder: Path) -> Store:
    """36 networks of two seeds: the best single training is not of the best network."""
    store, among = Store(folder), networks(STUDY.space)
    store.begin(STUDY)
    values = [[0.5, 0.5] for _ in among.specs]
    values[3], values[7] = [0.9, 0.1], [0.7, 0.6]
    table = trainings_table(STUDY, np.array(values))
    store.write_merged("epochs", epochs_table(table))
    first = table.slice(20, 1).to_pylist()[0] | {"epochs": 0}
    finalist = first | {"seed": 100, "val_acc_last": 0.99}
    foreign = first | {"protocol_id": "another", "val_acc_last": 0.98}
    store.write_merged("cells", table)
    store.write_merged("cells", Table.from_pylist([finalist, foreign], schema=table.schema))
    return store


def test_progress_fits_eighty_columns_with_its_bar() -> None:
    tally = Tally(study=STUDY, total=100_000, ended=99_999, failed=12_345)
    tally.add(training(0, 0), "complete", 0.98765432)
    tally.started -= 10_000_000
    assert len(tally.sentence()) <= 80 - 14
    assert "100000/100000" in tally.sentence()


def test_progress_counts_ends_and_faults() -> None:
    tally = Tally(study=STUDY, total=10)
    for point, end in enumerate(("complete", "complete", "failed", "pruned", "diverged", "oom")):
        tally.add(training(point, 0), end, 0.5)
    assert (tally.ended, tally.failed) == (4, 3)


def test_a_resumed_search_knows_the_best_of_the_runs_before(tmp_path: Path) -> None:
    store = half_done(tmp_path)
    tally = Tally.of(store, STUDY, total=72, ended=72)
    assert tally.best == pytest.approx(0.65)
    assert "best 0.65" in tally.sentence()
    tally.add(training(0, 0), "complete", 0.2)
    assert tally.best == pytest.approx(0.65)


def test_the_best_is_a_networks_mean_over_its_own_seeds() -> None:
    tally = Tally(study=STUDY, total=10)
    assert tally.best is None
    tally.add(training(1, 0), "complete", 0.9)
    assert tally.best == 0.9  # one seed is in
    tally.add(training(1, 1), "complete", 0.1)
    tally.add(training(2, 1), "complete", 0.6)
    tally.add(training(3, 0), "pruned", 1.0)
    tally.add(training(3, 100), "complete", 1.0)  # a finalist's fresh seed
    tally.add(training(4, 0), "complete", float("nan"))
    tally.add(training(4, 1), "complete", None)
    assert tally.best == 0.6


def test_the_best_is_the_least_where_less_is_better() -> None:
    goal = Objective(metric="val_loss", direction="minimize")
    tally = Tally(study=replace(STUDY, objectives=(goal,)), total=10)
    for point, value in ((1, 2.0), (2, 0.5), (3, 1.0)):
        tally.add(training(point, 0), "complete", value)
    assert tally.best == 0.5


def test_what_will_happen_is_told_in_numbers() -> None:
    text = opening(STUDY, total=82, fresh=10, ended=3, address="/out")
    assert text == (
        "planted: 36 networks x 2 seeds + 10 of finalists = 82 trainings, 3 done; results in /out"
    )
    one = replace(STUDY, seeds=(0,))
    assert "1 network x 1 seed = 1 training, " in opening(
        one, total=1, fresh=0, ended=0, address="x"
    )


def test_durations_read_like_a_clock() -> None:
    assert [duration(s) for s in (None, 5, 65, 3723)] == ["-", "0:05", "1:05", "1:02:03"]
