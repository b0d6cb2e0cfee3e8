"""The money that a run may spend: its device-seconds times the user's prices, as it goes."""

from time import monotonic
from typing import Any

from search.drive.desk import Desk
from search.drive.watcher import Watcher
from search.errors import StudyError
from search.store.prices import HOUR_S, known_as
from search.study.ends import End
from search.study.training import Job

LOOK_EVERY_S = 1.0


class Purse(Watcher):
    """Ends a run in order as soon as its trainings have cost what it may spend.

    What the head, idle machines and storage cost is not counted. A training counts from the moment
    at which a worker has it; until the worker has said where it is, at the highest price.

    Args:
        money: that may be spent, in the currency of the prices.
        prices: per hour of a device (a GPU, a core), by host or device name.
        desk: that is told to stop.
    """

    def __init__(self, money: float, prices: dict[str, float], desk: Desk) -> None:
        self._money, self._prices, self._desk = money, prices, desk
        self._spent, self._looked = 0.0, 0.0
        self._since: dict[str, float] = {}
        self._price: dict[str, float] = {}

    def began(self, job: Job) -> None:
        """Its clock runs."""
        self._since[job.training.training_id] = monotonic()
        self._price[job.training.training_id] = max(self._prices.values())

    def working(self, job: Job, report: dict[str, Any]) -> None:
        """Where it is; a machine without a price ends the run, which could spend without end."""
        hostname, device = report["machine"]
        known = known_as(hostname, device, self._prices)
        if known not in self._prices:
            rule = "with budget_money, prices must have every machine"
            self._desk.stop(
                "trouble", StudyError(f"{rule}, got neither {hostname} nor {device} in them")
            )
            return
        self._price[job.training.training_id] = self._prices[known]

    def ended(self, job: Job, status: End, report: dict[str, Any]) -> None:
        """It costs no more."""
        self._spent += self._cost(job.training.training_id, job)
        self._since.pop(job.training.training_id, None)

    def tick(self, running: int) -> None:
        """Look at what is spent, and stop."""
        if monotonic() - self._looked < LOOK_EVERY_S:
            return
        self._looked = monotonic()
        book = self._desk.in_flight
        jobs = [job for slot in book.at_work() if (job := book.at(slot))]
        spent = self._spent + sum(self._cost(job.training.training_id, job) for job in jobs)
        if spent >= self._money:
            self._desk.stop(f"money: {spent:.6g} of {self._money:.6g} spent")

    def _cost(self, training: str, job: Job) -> float:
        since = self._since.get(training)
        if since is None:
            return 0.0
        held_s = (monotonic() - since) * self._desk.study.resources.devices(job.gpus)
        return held_s / HOUR_S * self._price[training]
