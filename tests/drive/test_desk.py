"""The desk between Ray Tune and the ledger: slots, shares, deliveries, and who may write."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from searches import cheap
from trainables import Scripted
from world import Driver, Time

from search.drive.attempt import Attempt
from search.drive.desk import Desk
from search.drive.plan import make_ledger, make_plan
from search.errors import LeaseError
from search.sampling.pruner import Never
from search.sampling.sampler import AskTell
from search.store.lease import FILE, Lease, read_beat
from search.store.lost import Loss
from search.store.manifest import load_or_make
from search.store.part import KEY
from search.store.past import past_of_run
from search.store.store import Store
from search.study.study import Resources, Sampled, Study
from search.study.training import Job, Training

SAMPLED = replace(
    cheap(epochs=2, seeds=(0,)), strategy=Sampled(sampler="tpe", trials=16, concurrency=2)
)


def desk(path: Path, study: Study) -> Desk:
    """Over an empty store, with a lease whose heart does not beat."""
    store = Store(path)
    store.begin(study)
    lease, past = Lease(store.storage, clock=Time()), past_of_run(store)
    ledger = make_ledger(past, make_plan(past), lease.in_flight)
    return Desk(store=store, study=study, ledger=ledger, lease=lease, pruner=Never(), watchers=[])


def work_on(driver: Driver) -> None:
    """Until nothing is owed."""
    for _ in range(200):
        if driver.desk.must_end():
            return
        driver.open_slot()
        for name in list(driver.workers):
            while not driver.workers[name].is_over:
                driver.workers[name].step()
            driver.hear(name, twice=False)


@pytest.mark.parametrize("out", [1, 2])
def test_a_sampled_search_killed_with_networks_under_way_is_finished_by_the_next_run(
    tmp_path: Path, out: int
) -> None:
    time = Time()
    killed = Driver(tmp_path, SAMPLED, time)
    for _ in range(out):
        killed.open_slot()
    killed.is_alive = False
    again = Driver(tmp_path, SAMPLED, time)
    work_on(again)
    assert again.desk.trouble is None
    rows = Store(tmp_path).trainings([*KEY, "status"]).to_pylist()
    assert [row["status"] for row in rows] == ["complete"] * 16
    assert len({row["network_id"] for row in rows}) == 16


def test_a_sampled_network_whose_curve_is_lost_is_trained_again_and_no_other(
    tmp_path: Path,
) -> None:
    time = Time()
    work_on(Driver(tmp_path, SAMPLED, time))
    store = Store(tmp_path)
    before = {row["network_id"] for row in store.trainings(KEY).to_pylist()}
    (tmp_path / "epochs" / store.loose("epochs")[0]).write_bytes(b"torn")
    assert store.trainings(KEY).num_rows == 15
    time.now_s += 60.0
    work_on(Driver(tmp_path, SAMPLED, time))
    assert {row["network_id"] for row in store.trainings(KEY).to_pylist()} == before


def test_what_a_resumed_run_finishes_is_told_to_the_sampler(tmp_path: Path) -> None:
    time = Time()
    killed = Driver(tmp_path, SAMPLED, time)
    killed.open_slot()
    killed.open_slot()
    killed.is_alive = False
    again = Driver(tmp_path, SAMPLED, time)
    (sampler, _) = again.desk.ledger._strategy._strategies  # type: ignore[attr-defined]
    work_on(again)
    assert sum(trial.state.name == "COMPLETE" for trial in sampler.told()) == 16


def test_a_slot_trains_one_training_after_the_other(tmp_path: Path) -> None:
    at = desk(tmp_path, cheap(seeds=(0,)))
    assert at.claim("slot") == 0.0
    jobs = [at.opened("slot", 0.0)]
    done = {"ended": True, "status": "complete", "values": {}, "curve": [], "epochs": []}
    while isinstance(answer := at.reported("slot", done), Job):
        jobs.append(answer)
    assert answer == "stop"
    assert len({job.training.key for job in jobs if job}) == 27
    assert at.must_end()
    assert at.claim("another") == "done"


def test_no_more_slots_are_claimed_than_there_is_work_for(tmp_path: Path) -> None:
    at = desk(tmp_path, SAMPLED)
    assert [at.claim(name) for name in "abc"] == [0.0, 0.0, "wait"]


def test_without_concurrency_as_many_networks_are_out_as_there_are_slots(tmp_path: Path) -> None:
    study = replace(SAMPLED, strategy=replace(SAMPLED.strategy, concurrency=None))
    store = Store(tmp_path)
    strategy = AskTell(study, load_or_make(store.storage, study))
    assert strategy.ready() == 16
    asked = [strategy.ask() for _ in range(17)]
    assert len({training.network_id for training in asked if isinstance(training, Training)}) == 16
    assert asked[-1] == "done"


def test_an_attempt_on_a_larger_share_gets_a_slot_of_its_own(tmp_path: Path) -> None:
    study = replace(cheap(seeds=(0,)), resources=Resources(cpus=1, gpus=0.25))
    at = desk(tmp_path, study)
    at.claim("quarter")
    first = at.opened("quarter", 0.25)
    failed = {"ended": True, "status": "oom", "values": {}, "curve": [], "epochs": []}
    second = at.reported("quarter", failed)
    assert isinstance(first, Job)
    assert isinstance(second, Job)
    assert second.gpus == 0.25  # another training: the first wants half a GPU now
    assert at.claim("half") == 0.5
    again = at.opened("half", 0.5)
    assert isinstance(again, Job)
    assert (again.training.key, again.attempt, again.gpus) == (first.training.key, 1, 0.5)
    assert at.reported("half", failed | {"status": "complete"}) == "stop"


def test_a_slot_that_waits_for_a_larger_share_takes_nothing_from_the_others(
    tmp_path: Path,
) -> None:
    study = replace(cheap(seeds=(0,)), resources=Resources(cpus=1, gpus=0.25))
    at = desk(tmp_path, study)
    at.claim("quarter")
    at.opened("quarter", 0.25)
    failed = {"ended": True, "status": "oom", "values": {}, "curve": [], "epochs": []}
    done = failed | {"status": "complete"}
    at.reported("quarter", failed)
    for _ in range(25):
        assert isinstance(at.reported("quarter", done), Job)
    assert at.claim("half") == 0.5
    at.lost("half", Loss(cause="start", text="no such machine"), None)
    assert at.claim("half again") == 0.5
    assert at.reported("quarter", done) == "stop"
    assert at.claim("another") == "wait"
    assert isinstance(at.opened("half again", 0.5), Job)
    assert at.reported("half again", done) == "stop"
    assert at.must_end()


def test_a_report_that_comes_twice_counts_once(tmp_path: Path) -> None:
    at = desk(tmp_path, cheap(seeds=(0,)))
    at.claim("slot")
    job = at.opened("slot", 0.0)
    assert isinstance(job, Job)
    assert at.ledger.returned(job, status="complete", report={})
    assert not at.ledger.returned(job, status="complete", report={})


def test_a_slot_that_was_lost_before_its_first_job_blames_nobody(tmp_path: Path) -> None:
    at = desk(tmp_path, cheap(seeds=(0,)))
    for name in map(str, range(10)):
        at.claim(name)
        at.lost(name, Loss(cause="start", text="no such library"), None)
    assert at.trouble is not None
    assert "10 losses in a row, the last: no such library" in str(at.trouble)
    assert at.store.trainings(all_attempts=True).num_rows == 0


def take_over(store: Store) -> None:
    """Another driver has the lease by now."""
    store.storage.delete(FILE)
    Lease(store.storage, clock=Time())


@pytest.mark.parametrize("moment", ["before it begins", "while it trains", "when it is stopped"])
def test_a_worker_whose_driver_lost_the_lease_ends_without_writing(
    tmp_path: Path, moment: str
) -> None:
    study = cheap(seeds=(0,))
    at = desk(tmp_path, study)
    at.claim("slot")
    job = at.opened("slot", 0.0)
    assert isinstance(job, Job)

    def trainer() -> Scripted:
        return Scripted(epochs=3, top=0.5, epoch_s=0.01)

    run = Attempt(job, store=at.store, study=study, make_trainer=trainer)
    act: Callable[[], object] = lambda: run.advance(60.0)  # noqa: E731
    if moment != "before it begins":
        run.advance(0.0)
    take_over(at.store)
    if moment == "when it is stopped":
        act = lambda: run.stop("preempted")  # noqa: E731
    with pytest.raises(LeaseError, match="one driver at a time"):
        act()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "lease.json",
        "manifest.parquet",
        "study.json",
    ]


def test_an_attempt_that_was_stopped_trains_no_further(tmp_path: Path) -> None:
    study = cheap(seeds=(0,))
    at = desk(tmp_path, study)
    at.claim("slot")
    job = at.opened("slot", 0.0)
    assert isinstance(job, Job)
    make = lambda: Scripted(epochs=3, top=0.5, epoch_s=0.01)  # noqa: E731
    run = Attempt(job, store=at.store, study=study, make_trainer=make)
    run.advance(0.0)
    run.stop("preempted")
    report = run.advance(60.0)  # the slot is asked once more, to hear of it
    assert (report["ended"], report["status"], report["epoch"]) == (True, "preempted", 1)
    assert at.store.trainings(["status"], all_attempts=True)["status"].to_pylist() == ["preempted"]


def test_what_nobody_accounted_for_is_passed_on_to_the_next_driver(tmp_path: Path) -> None:
    time = Time()
    first = Driver(tmp_path, SAMPLED, time)
    first.open_slot()
    first.is_alive = False
    second = Lease(Store(tmp_path).storage, clock=time)  # and is killed before it could account
    beat = read_beat(second._storage)
    assert beat is not None
    assert beat.previous is not None
    assert len(beat.previous.running) == 1
    third = Driver(tmp_path, SAMPLED, time)
    (row,) = third.store.trainings(["status", "error_type"], all_attempts=True).to_pylist()
    assert row == {"status": "preempted", "error_type": "driver"}
    assert third.lease.previous is None
