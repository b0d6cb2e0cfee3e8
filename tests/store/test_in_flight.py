"""One book of the jobs that are out: what waits, what runs, and what the lease is to say."""

from dataclasses import replace

import pytest
from searches import cheap

from search.store.in_flight import InFlight
from search.study.training import Job, Training


def job(seed: int, gpus: float = 0.25) -> Job:
    """An attempt at the base network."""
    training = Training(spec=cheap().space.base, protocol_id="p", seed=seed)
    return Job(training=training, attempt=0, order=seed, gpus=gpus)


@pytest.fixture
def book() -> InFlight:
    """With three jobs that wait, one of them for half a GPU."""
    book = InFlight("driver", life_s=lambda: 7.0)
    for one in (job(0), job(1, 0.5), job(2)):
        book.hand_out(one)
    return book


def test_a_job_waits_is_bound_runs_and_returns(book: InFlight) -> None:
    assert book.waiting() == job(0)
    assert book.waiting(0.5) == job(1, 0.5)
    book.bind(job(1, 0.5), "half")
    assert (book.bound("half"), book.at("half")) == (job(1, 0.5), None)
    assert book.waiting(0.5) is None
    assert book.running() == {}
    book.begin(job(1, 0.5), "half")
    assert (book.bound("half"), book.at("half")) == (None, job(1, 0.5))
    assert book.at_work() == ["half"]
    assert [running.since_s for running in book.running().values()] == [7.0]
    assert book.begun.is_set()
    assert book.returned(job(1, 0.5))
    assert (len(book), book.at("half"), book.at_work(), book.running()) == (2, None, [], {})


def test_what_a_lost_slot_had_not_begun_waits_again_and_what_it_had_begun_stays_on_the_lease(
    book: InFlight,
) -> None:
    book.bind(job(0), "a")
    book.leave("a")
    assert book.waiting() == job(0)
    book.begin(job(0), "b")
    book.leave("b")
    assert book.at_work() == []
    assert book.waiting() == job(1, 0.5)
    assert list(book.running()) == [job(0).training.training_id]
    book.leave("b")
    book.leave("never heard of")
    assert len(book) == 3


def test_a_late_delivery_of_an_attempt_does_not_take_the_next_one_off(book: InFlight) -> None:
    book.begin(job(0), "a")
    assert book.returned(job(0))
    again = replace(job(0), attempt=1)
    book.hand_out(again)
    book.begin(again, "b")
    assert not book.returned(job(0))
    assert book.at("b") == again
    assert book.returned(again)
    assert not book.returned(again)
