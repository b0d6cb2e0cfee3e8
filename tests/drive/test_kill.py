"""A search that is killed or starved owes exactly what it had not finished."""

import os
import random
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
from searches import Driver, cheap

from search.drive.run import Options, resume, search
from search.store.check import check
from search.store.part import KEY
from search.store.schema import DETERMINISTIC_CELLS, DETERMINISTIC_EPOCHS
from search.store.store import Store

CELLS = 54
HERE = Options(in_process=True, progress=False)
pytestmark = pytest.mark.timeout(1800)  # a slow machine is no fault here


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The cheap study, run in peace, without Ray."""
    out = tmp_path_factory.mktemp("peace") / "study"
    assert search(cheap(), out, options=HERE).ended == CELLS
    return Store(out)


def facts(store: Store) -> tuple[list, list]:
    """The deterministic columns of both tables, in a fixed order."""
    order = [(name, "ascending") for name in KEY]
    trainings = store.trainings(DETERMINISTIC_CELLS).sort_by(order).to_pylist()
    epochs = store.epochs(DETERMINISTIC_EPOCHS).sort_by([*order, ("epoch", "ascending")])
    return trainings, epochs.to_pylist()


def kill_at_moments(out: Path, *, moments: int, seed: int) -> Counter:
    """Start, kill at a random moment, again and again; then finish it. Statuses of attempts.

    Every second time while it starts, otherwise after a random number of new trainings.
    """
    rng = random.Random(seed)
    for moment in range(moments):
        driver = Driver(out, "cheap")
        if moment % 2:
            time.sleep(rng.uniform(0.5, 8))
        else:
            driver.wait_for_trainings(len(list(out.glob("cells/*.parquet"))) + rng.randint(1, 8))
            time.sleep(rng.random() * 0.3)
        driver.kill_all()
    assert resume(out, options=HERE).finished
    return Counter(Store(out).trainings(["status"], all_attempts=True)["status"].to_pylist())


def assert_nothing_lost_and_nothing_twice(out: Path, undisturbed: Store) -> None:
    store = Store(out)
    assert check(store) == []
    assert store.trainings(KEY).num_rows == CELLS
    assert facts(store) == facts(undisturbed)


def test_a_search_killed_at_four_moments_runs_only_what_is_owed(
    tmp_path: Path, undisturbed: Store
) -> None:
    attempts = kill_at_moments(tmp_path / "study", moments=4, seed=1)
    assert_nothing_lost_and_nothing_twice(tmp_path / "study", undisturbed)
    assert attempts["complete"] == CELLS
    assert attempts["failed"] == 0


@pytest.mark.long
def test_a_search_killed_at_twenty_moments_runs_only_what_is_owed(
    tmp_path: Path, undisturbed: Store
) -> None:
    attempts = kill_at_moments(tmp_path / "study", moments=20, seed=2)
    assert_nothing_lost_and_nothing_twice(tmp_path / "study", undisturbed)
    assert attempts["complete"] == CELLS


def test_a_killed_sampled_search_goes_on_with_other_networks(tmp_path: Path) -> None:
    out = tmp_path / "study"
    driver = Driver(out, "racing")
    driver.wait_for_trainings(3)
    driver.wait_for_work(trainings=2)
    driver.kill_all()
    before = set(Store(out).trainings(["network_id"])["network_id"].to_pylist())
    driver = Driver(out, "racing")
    assert driver.finish() == 0, driver.log.read_text()
    store = Store(out)
    assert check(store) == []
    rows = store.trainings().to_pylist()
    assert [row["status"] for row in rows] == ["complete"] * 10
    assert len({row["network_id"] for row in rows}) == 10
    assert before < {row["network_id"] for row in rows}


@pytest.mark.skipif(os.getuid() != 0, reason="mounts a small file system")
def test_a_full_disk_is_a_clear_error_and_the_search_resumes_when_there_is_space(
    tmp_path: Path, undisturbed: Store
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", disk], check=True)
    try:
        ballast = disk / "ballast"
        ballast.write_bytes(b"0" * 5_700_000)
        out = disk / "study"
        driver = Driver(out, "cheap", log=tmp_path / "log", slots=1)
        assert driver.finish() == 2
        assert "disk must have space" in driver.log.read_text()
        assert 0 < Store(out).trainings(KEY).num_rows < CELLS
        ballast.unlink()
        assert resume(out, options=HERE).finished
        assert_nothing_lost_and_nothing_twice(out, undisturbed)
    finally:
        subprocess.run(["umount", disk], check=True)
