"""A search that is killed, stopped or starved owes exactly what it had not finished."""

import os
import random
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
from searches import Driver, descendants, gone, workers

from search.store.check import check
from search.store.lease import Lease
from search.store.losses import account_for
from search.store.schema import DETERMINISTIC_CELLS, DETERMINISTIC_EPOCHS
from search.store.store import KEY, Store

CELLS = 54
pytestmark = pytest.mark.timeout(1800)  # a slow machine is no fault here


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The cheap study, run in peace."""
    out = tmp_path_factory.mktemp("peace") / "study"
    driver = Driver(out, "cheap")
    assert driver.finish() == 0, driver.log.read_text()
    return Store(out)


def facts(store: Store) -> tuple[list, list]:
    """The deterministic columns of both tables, in a fixed order."""
    order = [(name, "ascending") for name in KEY]
    cells = store.cells(DETERMINISTIC_CELLS).sort_by(order).to_pylist()
    epochs = store.epochs(DETERMINISTIC_EPOCHS).sort_by([*order, ("epoch", "ascending")])
    return cells, epochs.to_pylist()


def kill_at_moments(out: Path, *, moments: int, seed: int) -> Counter:
    """Start, kill at a random moment, again and again; then let it finish. Statuses of attempts.

    Every second time while it starts, otherwise after a random number of new cells.
    """
    rng = random.Random(seed)
    for moment in range(moments):
        driver = Driver(out, "cheap")
        if moment % 2:
            time.sleep(rng.uniform(0.5, 8))
        else:
            driver.wait_for_cells(len(list(out.glob("cells/*.parquet"))) + rng.randint(1, 8))
            time.sleep(rng.random() * 0.3)
        driver.kill_all()
    driver = Driver(out, "cheap")
    assert driver.finish() == 0, driver.log.read_text()
    return Counter(Store(out).cells(["status"], all_attempts=True)["status"].to_pylist())


def assert_nothing_lost_and_nothing_twice(out: Path, undisturbed: Store) -> None:
    store = Store(out)
    assert check(store) == []
    assert store.cells(KEY).num_rows == CELLS
    assert facts(store) == facts(undisturbed)


def test_a_search_killed_at_ten_moments_runs_only_what_is_owed(
    tmp_path: Path, undisturbed: Store
) -> None:
    attempts = kill_at_moments(tmp_path / "study", moments=10, seed=1)
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


def test_a_signal_to_the_group_leaves_checkpoints_and_the_next_run_uses_them(
    tmp_path: Path,
) -> None:
    """As timeout, systemd and Slurm end a job; the second time as a closed terminal does."""
    out = tmp_path / "study"
    driver = Driver(out, "slow")
    driver.wait_for_training()
    asked = time.monotonic()
    driver.signal_all(signal.SIGTERM)
    time.sleep(0.5)
    os.killpg(driver.process.pid, signal.SIGTERM)  # impatience changes nothing
    assert driver.finish(timeout_s=60) == 0, driver.log.read_text()
    assert time.monotonic() - asked < 30
    store = Store(out)
    rows = store.cells().to_pylist()
    assert {row["status"] for row in rows} == {"preempted"}
    assert all(row["wasted_device_s"] < 0.2 * row["device_s"] for row in rows)
    assert all(list(out.glob(f"checkpoints/{row['network_id']}-*/*.pt")) for row in rows)
    assert not (out / "lease.json").exists()
    epochs = {row["network_id"]: row["epochs"] for row in rows}
    driver = Driver(out, "slow")
    driver.wait_for_training()
    os.killpg(driver.process.pid, signal.SIGHUP)
    assert driver.finish(timeout_s=60) == 0, driver.log.read_text()
    again = {row["network_id"]: row["epochs"] for row in store.cells().to_pylist()}
    assert epochs.keys() <= again.keys()
    assert all(again[network] >= epochs[network] for network in epochs)
    assert sum(again.values()) > sum(epochs.values())


def test_a_killed_worker_costs_one_attempt_and_no_cell(tmp_path: Path) -> None:
    out = tmp_path / "study"
    driver = Driver(out, "steady")
    driver.wait_for_training(cpu_s=0.5)
    os.kill(workers(driver.process.pid)[0], signal.SIGKILL)
    assert driver.finish() == 0, driver.log.read_text()
    store = Store(out)
    assert check(store) == []
    rows = store.cells(["status", "error_type"], all_attempts=True).to_pylist()
    assert Counter(row["status"] for row in rows) == {"complete": 4, "failed": 1}
    assert [row["error_type"] for row in rows if row["status"] == "failed"] == ["crash"]


def kill_part(driver: Driver, name: str) -> None:
    """Kill a process of Ray's own, and see the run end in order, with one line that says why."""
    pids = descendants(driver.process.pid)
    killed = [pid for pid in pids if Path(f"/proc/{pid}/exe").resolve().name == name]
    assert len(killed) == 1
    os.kill(killed[0], signal.SIGKILL)
    assert driver.finish(timeout_s=90) == 2
    lines = driver.log.read_text().splitlines()
    assert len(lines) == 1, lines
    assert f"Ray must keep its processes to the end, got {name} killed" in lines[0]
    assert gone(pids, within_s=10)


@pytest.mark.parametrize("name", ["raylet", "gcs_server"])
def test_without_a_part_of_ray_the_run_ends_with_one_line_and_blames_no_cell(
    tmp_path: Path, name: str
) -> None:
    out = tmp_path / "study"
    driver = Driver(out, "slow", slots=1)
    driver.wait_for_work()
    kill_part(driver, name)
    lease = Lease(Store(out).storage)
    account_for(lease, study=Store(out).study(), store=Store(out))
    lease.release()
    rows = Store(out).cells(["status"], all_attempts=True)["status"].to_pylist()
    assert rows == ["preempted"]


@pytest.mark.long
def test_the_run_after_a_killed_raylet_finishes(tmp_path: Path) -> None:
    out = tmp_path / "study"
    driver = Driver(out, "steady", slots=1)
    driver.wait_for_cells(1)
    kill_part(driver, "raylet")
    driver = Driver(out, "steady")
    assert driver.finish() == 0, driver.log.read_text()
    store = Store(out)
    assert check(store) == []
    statuses = Counter(store.cells(["status"], all_attempts=True)["status"].to_pylist())
    assert statuses["complete"] == 4
    assert statuses["preempted"] >= 1  # what ran just then; no cell was blamed
    assert set(statuses) == {"complete", "preempted"}


def test_a_second_driver_is_refused_and_takes_over_after_a_kill(tmp_path: Path) -> None:
    out = tmp_path / "study"
    driver = Driver(out, "slow", slots=1)
    driver.wait_for_work()
    second = Driver(out, "slow", slots=1)
    assert second.finish(timeout_s=60) == 2
    assert f"one driver at a time, got one alive on {os.uname().nodename}" in second.log.read_text()
    driver.kill_all()
    third = Driver(out, "slow", slots=1)
    third.wait_for_work()
    third.process.send_signal(signal.SIGTERM)
    assert third.finish(timeout_s=60) == 0, third.log.read_text()
    rows = Store(out).cells(["error_type", "wasted_device_s"], all_attempts=True).to_pylist()
    lost = [row["wasted_device_s"] for row in rows if row["error_type"] == "driver"]
    assert lost
    assert all(seconds > 0 for seconds in lost)


def test_a_killed_sampled_search_goes_on_with_other_networks(tmp_path: Path) -> None:
    out = tmp_path / "study"
    driver = Driver(out, "racing")
    driver.wait_for_cells(3)
    driver.wait_for_work(cells=2)
    driver.kill_all()
    before = set(Store(out).cells(["network_id"])["network_id"].to_pylist())
    driver = Driver(out, "racing")
    assert driver.finish(timeout_s=120) == 0, driver.log.read_text()
    store = Store(out)
    assert check(store) == []
    rows = store.cells().to_pylist()
    assert [row["status"] for row in rows] == ["complete"] * 16
    assert len({row["network_id"] for row in rows}) == 16
    assert before < {row["network_id"] for row in rows}


def test_a_driver_that_was_asleep_replaces_no_row_of_the_one_that_took_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STALE_S", "5")
    out = tmp_path / "study"
    asleep = Driver(out, "steady", log=tmp_path / "asleep.log")
    asleep.wait_for_work(cells=2)
    asleep.signal_all(signal.SIGSTOP)
    try:
        awake = Driver(out, "steady", log=tmp_path / "awake.log")
        assert awake.finish() == 0, awake.log.read_text()
        final = Store(out).cells().sort_by(KEY[0]).to_pylist()
        assert [row["status"] for row in final] == ["complete"] * 4
    finally:
        asleep.signal_all(signal.SIGCONT)
    assert asleep.finish(timeout_s=90) == 2
    lines = asleep.log.read_text().splitlines()
    assert len(lines) == 1, lines
    assert "the lease must stay" in lines[0] or "a study has one driver at a time" in lines[0]
    assert Store(out).cells().sort_by(KEY[0]).to_pylist() == final
    assert check(Store(out)) == []


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
        driver = Driver(out, "cheap", log=tmp_path / "log")
        assert driver.finish() == 2
        assert "disk must have space" in driver.log.read_text()
        assert 0 < Store(out).cells(KEY).num_rows < CELLS
        ballast.unlink()
        driver = Driver(out, "cheap", log=tmp_path / "log")
        assert driver.finish() == 0, driver.log.read_text()
        assert_nothing_lost_and_nothing_twice(out, undisturbed)
    finally:
        subprocess.run(["umount", disk], check=True)
