"""What is owed: attempts counted by cause, shares raised, checkpoints that can be trusted."""

from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from searches import cheap

from search.drive.ledger import Ledger
from search.errors import StudyError
from search.sampling.pruner import Halving, Median, make_pruner
from search.sampling.strategy import Answer, Chain, Listed
from search.store.checkpoints import Checkpoints
from search.store.history import History, read_history
from search.store.in_flight import InFlight
from search.store.lost import STATUS_OF, Cause
from search.store.storage import Storage
from search.store.store import Store
from search.study.ends import ENDS, FAULTS, FINAL, OWN_FAULTS, End
from search.study.study import Resources, Sampled, Study
from search.study.training import Job, Training

GPU = replace(cheap(), resources=Resources(cpus=1, gpus=0.25))


def trainings(num: int, study: Study = GPU) -> list[Training]:
    """Trainings of the first points."""
    protocol_id = study.protocol.protocol_id
    return [
        Training(spec=study.space.spec(i), protocol_id=protocol_id, seed=0, point=i)
        for i in range(num)
    ]


@pytest.fixture
def empty(tmp_path: Path) -> History:
    """No attempts so far."""
    return read_history(Store(tmp_path), GPU)


def ledger(history: History, num: int = 2) -> Ledger:
    """Over the first trainings."""
    return Ledger(
        GPU, Listed(trainings(num), number=num), history=history, begun=[], in_flight=InFlight()
    )


def take(book: Ledger) -> Job:
    """The next job."""
    job = book.next_job()
    assert isinstance(job, Job)
    return job


def test_an_out_of_memory_is_tried_again_at_twice_the_share(empty: History) -> None:
    book, shares = ledger(empty, 1), []
    while isinstance(job := book.next_job(), Job):
        shares.append((job.attempt, job.gpus))
        book.returned(job, status="oom", report={})
    assert shares == [(0, 0.25), (1, 0.5), (2, 1.0)]


def test_a_crashing_training_is_given_up_and_infrastructure_faults_do_not_count(
    empty: History,
) -> None:
    book = ledger(empty, 1)
    for status in ("failed", "preempted", "preempted", "preempted", "preempted", "failed"):
        assert not book.returned(take(book), status=status, report={})
    assert book.returned(take(book), status="failed", report={})
    assert book.next_job() == "done"


def test_the_ledger_waits_while_a_running_training_may_have_to_be_tried_again(
    empty: History,
) -> None:
    book = ledger(empty, 1)
    job = take(book)
    assert book.next_job() == "wait"
    book.returned(job, status="complete", report={})
    assert book.next_job() == "done"


def test_a_search_that_waits_for_nobody_is_an_error(empty: History) -> None:
    class Waiting(Listed):
        def ready(self) -> int:
            return 0

        def ask(self) -> Answer:
            return "wait"

    waiting = Waiting([], number=0)
    book = Ledger(GPU, waiting, history=empty, begun=[], in_flight=InFlight())
    with pytest.raises(StudyError, match="must have a training under way, got none"):
        book.is_done()


def test_a_job_survives_its_way_to_the_worker() -> None:
    job = Job(training=trainings(14)[13], attempt=2, order=7, gpus=0.5, prunable=True)
    back = Job.from_json(job.to_json())
    assert back.training.key == job.training.key
    assert back == job


def test_a_chain_tells_the_strategy_that_asked() -> None:
    first, second = trainings(2)
    chain = Chain([Listed([first], number=1), Listed([second], number=1)])
    assert [chain.ask(), chain.ask(), chain.ask()] == [first, second, "done"]


def test_a_torn_checkpoint_falls_back_to_the_one_before(tmp_path: Path) -> None:
    kept = Checkpoints(Storage(tmp_path), "training")
    for number in range(4):
        kept.save({"number": number}, attempt=0, spent_s=10.0 * number)
    names = sorted((tmp_path / "checkpoints" / "training").iterdir())
    assert len(names) == 2
    assert kept.latest() == {"number": 3}
    assert (kept.spent_s(0), kept.spent_s(1)) == (30.0, 0.0)
    names[1].write_bytes(names[1].read_bytes()[:-5])
    assert kept.latest() == {"number": 2}
    names[0].write_bytes(b"")
    assert kept.latest() is None
    kept.clear()
    assert kept.latest() is None


def test_halving_keeps_the_best_third_of_each_rung() -> None:
    pruner = Halving(epochs=9)
    stopped = [pruner.should_stop(str(i), [i / 10]) for i in (9, 8, 7, 6, 5, 4, 3)]
    assert stopped == [False, False, True, True, True, True, True]
    assert not pruner.should_stop("10", [1.0])
    assert not pruner.should_stop("10", [1.0, 0.0])
    assert not pruner.should_stop("10", [1.0, 0.0, 0.0])


def test_the_median_rule_stops_what_stays_below_the_others() -> None:
    pruner = Median()
    for name in "abc":
        assert not pruner.should_stop(name, [0.5])
        assert not pruner.should_stop(name, [0.5, 0.6])
    assert not pruner.should_stop("d", [0.4])
    assert pruner.should_stop("d", [0.4, 0.5])
    assert not pruner.should_stop("e", [0.4, 0.7])


def test_a_resumed_scheduler_decides_as_the_one_before() -> None:
    study = replace(cheap(epochs=9), strategy=Sampled(scheduler="asha"))
    curves = [(str(i), [i / 10]) for i in range(3, 9)]
    unbroken = make_pruner(study)
    for name, curve in curves:
        unbroken.should_stop(name, curve)
    resumed = make_pruner(study, curves)
    for value in (0.1, 0.65, 0.7, 0.95):
        new = [value]
        assert resumed.should_stop("new", new) == unbroken.should_stop("new", new)


def test_each_end_has_one_meaning_and_the_sets_follow_from_it() -> None:
    assert set(ENDS) == set(get_args(End))
    assert {"complete", "pruned", "diverged"} == FINAL
    assert {"failed", "oom", "diverged"} == FAULTS
    assert {"failed", "oom"} == OWN_FAULTS
    assert {end for end, meaning in ENDS.items() if not meaning.keeps_checkpoint} == {
        "complete",
        "diverged",
    }
    assert set(STATUS_OF) == set(get_args(Cause))
