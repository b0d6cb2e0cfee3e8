"""The executor without Ray: trains what the desk hands out in this process, one at a time."""

from typing import Literal

from search.drive.desk import Desk
from search.drive.worker import MakeTrainer, Worker
from search.errors import StudyError
from search.store.lost import Loss
from search.study.training import Job

NAME = "here"  # of the only slot
SLICE_S = 1.0  # how long a stop waits at most


def run_here(desk: Desk, *, make_trainer: MakeTrainer) -> None:
    """Until the desk says that it must end."""
    while not desk.must_end():
        with desk.in_order():
            share = desk.claim(NAME)
            if isinstance(share, float):
                _work(desk, Worker(desk.store.address, make_trainer), share)


def _work(desk: Desk, worker: Worker, share: float) -> None:
    """One job after the other, until there is none for a slot of this share of a GPU."""
    answer: Job | Literal["go on", "stop", "pruned"] = desk.opened(NAME, share) or "stop"
    while answer != "stop":
        if isinstance(answer, Job):
            worker.take(answer.to_json(), SLICE_S)
        elif answer == "pruned":
            worker.stop(answer)
        desk.must_end()  # looks at the clock and the lease
        if desk.to_stop():
            worker.stop("preempted")
        for watcher in desk.watchers:
            watcher.tick(len(desk.in_flight.at_work()))
        try:
            report = worker.step()
        except StudyError as error:
            return desk.lost(NAME, Loss(cause="crash", text=str(error)), error)
        answer = desk.reported(NAME, report)
    return None
