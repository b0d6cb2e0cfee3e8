"""One driver per study; who lives is told by heartbeats and processes, not by clocks."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
from searches import cheap

from search.errors import LeaseError
from search.store import lease as module
from search.store.lease import Lease, is_dead_here, read_beat
from search.store.storage import Storage
from search.study.training import Job, Training

pytestmark = pytest.mark.slow  # takes seconds


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hearts stop after a second instead of twenty."""
    monkeypatch.setattr(module, "STALE_S", 1.0)
    monkeypatch.setattr(module, "POLL_S", 0.05)


def rewrite(storage: Storage, **change: object) -> None:
    """Change the lease file by hand."""
    storage.write_json(module.FILE, storage.read_json(module.FILE) | change)


def job(seed: int = 0) -> Job:
    """An attempt at the base network."""
    spec = cheap().space.base
    training = Training(spec=spec, protocol_id="p", seed=seed)
    return Job(training=training, attempt=0, order=0, gpus=0.0)


def begin(lease: Lease, seed: int = 0) -> Job:
    """A worker has the job."""
    lease.in_flight.hand_out(job(seed))
    lease.in_flight.begin(job(seed), f"slot {seed}")
    return job(seed)


def foreign(storage: Storage) -> None:
    """A lease of a driver on another machine."""
    Lease(storage).release()
    lease = Lease(storage)
    lease._ended.set()
    lease.in_flight.begun.set()
    lease._thread.join()
    rewrite(storage, machine="another boot", hostname="elsewhere", owner="somebody")


def test_a_released_study_is_free(tmp_path: Path, quick: None) -> None:
    storage = Storage(tmp_path)
    Lease(storage).release()
    assert read_beat(storage) is None
    Lease(storage).release()


def test_a_living_driver_is_named_to_the_second(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    first = Lease(storage)
    with pytest.raises(
        LeaseError, match=r"one driver at a time, got one alive on .*, pid \d+, last"
    ):
        Lease(storage)
    first.release()


def test_a_driver_elsewhere_without_a_heartbeat_is_taken_over(tmp_path: Path, quick: None) -> None:
    storage = Storage(tmp_path)
    foreign(storage)
    lease = Lease(storage)
    assert lease.previous is not None
    assert lease.previous.hostname == "elsewhere"
    lease.release()


def test_a_clock_that_jumped_does_not_make_a_driver_look_dead_or_alive(
    tmp_path: Path, quick: None
) -> None:
    storage = Storage(tmp_path)
    for moment in ("1999-01-01T00:00:00+00:00", "2099-01-01T00:00:00+00:00"):
        foreign(storage)
        rewrite(storage, beat_at=moment)
        started = time.monotonic()
        lease = Lease(storage)
        assert time.monotonic() - started > 0.9
        lease.release()


def test_a_job_is_known_soon_after_its_beginning(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    lease = Lease(storage)
    for seed in (0, 1):  # the second falls into the pause after the first
        training = begin(lease, seed).training.training_id
        deadline = time.monotonic() + 1.0  # heartbeats are two seconds apart
        while training not in (beat := read_beat(storage)).running:  # type: ignore[union-attr]
            assert time.monotonic() < deadline, beat
            time.sleep(0.02)
        lease.in_flight.returned(job(seed))
    lease.release()


def test_a_dead_process_of_this_machine_is_taken_over_at_once(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    lease = Lease(storage)
    begin(lease)
    lease._ended.set()
    lease.in_flight.begun.set()
    lease._thread.join()
    lease._write()
    rewrite(storage, pid=2**22 - 3)
    started = time.monotonic()
    second = Lease(storage)
    assert time.monotonic() - started < 5
    assert second.previous is not None
    assert list(second.previous.running) == [job().training.training_id]
    second.release()


def test_a_reused_process_number_does_not_pass_for_the_driver(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    lease = Lease(storage)
    beat = read_beat(storage)
    assert beat is not None
    assert not is_dead_here(beat)
    assert is_dead_here(replace(beat, machine=beat.machine + "1"))
    assert not is_dead_here(replace(beat, machine="another boot"))
    lease.release()


def test_a_driver_that_lost_its_lease_notices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = Storage(tmp_path)
    lease = Lease(storage)
    rewrite(storage, owner="somebody")
    deadline = time.monotonic() + 10
    while lease.trouble is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert isinstance(lease.trouble, LeaseError)
    lease.release()
    assert read_beat(storage) is not None


def test_a_lease_with_work_in_hand_stays_for_the_next_driver(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    lease = Lease(storage)
    assert 0 <= lease.in_flight.held_s(begin(lease)) < 5
    lease.release()
    assert read_beat(storage) is not None


def test_a_damaged_lease_file_is_no_lease(tmp_path: Path, quick: None) -> None:
    storage = Storage(tmp_path)
    storage.write(module.FILE, b'{"owner": "x", ')
    assert read_beat(storage) is None
    Lease(storage).release()
