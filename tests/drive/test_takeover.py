"""Two drivers of one study: refused, taken over after a kill, and taken over in a sleep."""

import os
import signal
from pathlib import Path

import pytest
from searches import Driver

from search.store.check import check
from search.store.part import KEY
from search.store.store import Store

pytestmark = pytest.mark.timeout(1800)  # a slow machine is no fault here


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
    rows = Store(out).trainings(["error_type", "wasted_device_s"], all_attempts=True).to_pylist()
    lost = [row["wasted_device_s"] for row in rows if row["error_type"] == "driver"]
    assert lost
    assert all(seconds > 0 for seconds in lost)


def test_a_driver_that_was_asleep_replaces_no_row_of_the_one_that_took_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STALE_S", "5")
    out = tmp_path / "study"
    asleep = Driver(out, "steady", log=tmp_path / "asleep.log")
    asleep.wait_for_work(trainings=2)
    asleep.signal_all(signal.SIGSTOP)
    try:
        awake = Driver(out, "steady", log=tmp_path / "awake.log", slots=1)
        assert awake.finish() == 0, awake.log.read_text()
        final = Store(out).trainings().sort_by(KEY[0]).to_pylist()
        assert [row["status"] for row in final] == ["complete"] * 4
    finally:
        asleep.signal_all(signal.SIGCONT)
    assert asleep.finish(timeout_s=90) == 2
    lines = asleep.log.read_text().splitlines()
    assert len(lines) == 1, lines
    assert "the lease must stay" in lines[0] or "a study has one driver at a time" in lines[0]
    assert Store(out).trainings().sort_by(KEY[0]).to_pylist() == final
    assert check(Store(out)) == []
