"""A search that is asked to stop, or loses a worker or a part of Ray, ends in order."""

import os
import pty
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from searches import ROOT, Driver, descendants, gone, workers

from search.drive.desk import SLICE_S
from search.drive.run import compact
from search.store.check import check
from search.store.lease import read_beat
from search.store.store import Store

pytestmark = pytest.mark.timeout(1800)  # a slow machine is no fault here


def test_a_signal_to_the_group_leaves_checkpoints_and_the_next_run_uses_them(
    tmp_path: Path,
) -> None:
    """As timeout, systemd and Slurm end a job; the second time as a closed terminal does."""
    out = tmp_path / "study"
    driver = Driver(out, "slow")
    driver.wait_for_training(cpu_s=10)  # imports included, more than an epoch on any machine
    asked = time.monotonic()
    driver.signal_all(signal.SIGTERM)
    time.sleep(0.5)
    os.killpg(driver.process.pid, signal.SIGTERM)  # impatience changes nothing
    assert driver.finish(timeout_s=60) == 0, driver.log.read_text()
    assert time.monotonic() - asked < 30
    store = Store(out)
    rows = store.trainings().to_pylist()
    assert {row["status"] for row in rows} == {"preempted"}
    assert all(row["wasted_device_s"] < 0.2 * row["device_s"] for row in rows)
    assert all(list(out.glob(f"checkpoints/{row['network_id']}-*/*.pt")) for row in rows)
    assert not (out / "lease.json").exists()
    epochs = {row["network_id"]: row["epochs"] for row in rows}
    driver = Driver(out, "slow")
    driver.wait_for_training(cpu_s=10)
    os.killpg(driver.process.pid, signal.SIGHUP)
    assert driver.finish(timeout_s=60) == 0, driver.log.read_text()
    again = {row["network_id"]: row["epochs"] for row in store.trainings().to_pylist()}
    assert epochs.keys() <= again.keys()
    assert all(again[network] >= epochs[network] for network in epochs)
    assert sum(again.values()) > sum(epochs.values())


def test_a_terminal_that_is_gone_ends_the_search_in_order(tmp_path: Path) -> None:
    """As when the connection of `ray exec` breaks: a hang-up, and nowhere to print to."""
    out = tmp_path / "study"
    stac = str(Path(sys.executable).with_name("stac"))
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.environ["STACNET_CPUS"] = "1"
        more = ["--override", "protocol.epochs=200"]
        os.execv(stac, [stac, "search", "digits", "--out", str(out), *more])
    deadline = time.monotonic() + 120
    while not ((beat := read_beat(Store(out).storage)) and beat.running):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    time.sleep(SLICE_S + 5)  # it trains
    os.close(terminal)
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert not (out / "lease.json").exists()
    assert list((out / "checkpoints").iterdir())
    rows = Store(out).trainings(["status", "wasted_device_s"], all_attempts=True).to_pylist()
    assert [row["status"] for row in rows] == ["preempted"]
    assert rows[0]["wasted_device_s"] < 1


def test_a_killed_worker_costs_one_attempt_and_no_training(tmp_path: Path) -> None:
    out = tmp_path / "study"
    driver = Driver(out, "steady")
    driver.wait_for_training(cpu_s=0.5)
    os.kill(workers(driver.process.pid)[0], signal.SIGKILL)
    assert driver.finish() == 0, driver.log.read_text()
    store = Store(out)
    assert check(store) == []
    rows = store.trainings(["status", "error_type"], all_attempts=True).to_pylist()
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
def test_without_a_part_of_ray_the_run_ends_with_one_line_and_blames_no_training(
    tmp_path: Path, name: str
) -> None:
    out = tmp_path / "study"
    driver = Driver(out, "slow", slots=1)
    driver.wait_for_work()
    kill_part(driver, name)
    compact(out)  # as the next run does, it accounts for what was lost
    assert not (out / "lease.json").exists()
    rows = Store(out).trainings(["status"], all_attempts=True)["status"].to_pylist()
    assert rows == ["preempted"]


@pytest.mark.long
def test_the_run_after_a_killed_raylet_finishes(tmp_path: Path) -> None:
    out = tmp_path / "study"
    driver = Driver(out, "steady", slots=1)
    driver.wait_for_trainings(1)
    kill_part(driver, "raylet")
    driver = Driver(out, "steady")
    assert driver.finish() == 0, driver.log.read_text()
    store = Store(out)
    assert check(store) == []
    statuses = Counter(store.trainings(["status"], all_attempts=True)["status"].to_pylist())
    assert statuses["complete"] == 4
    assert statuses["preempted"] >= 1  # what ran just then; no training was blamed
    assert set(statuses) == {"complete", "preempted"}
