"""What is owed: hands out jobs, counts attempts by cause, and gives up on what keeps crashing."""

from collections import deque
from typing import Any, Literal

from search.errors import StudyError
from search.sampling.strategy import Strategy
from search.store.history import History, Record
from search.store.in_flight import InFlight
from search.study.ends import OWN_FAULTS, End
from search.study.study import Study
from search.study.training import Job, Outcome, Training


class Ledger:
    """Hands out jobs: first the trainings that were begun, then what the strategy asks for.

    Args:
        study: the limits.
        strategy: told of every training that ends for good.
        history: what was before.
        begun: trainings that an earlier run left unfinished.
        in_flight: where it writes what it hands out.
    """

    def __init__(
        self,
        study: Study,
        strategy: Strategy,
        *,
        history: History,
        begun: list[Training],
        in_flight: InFlight,
    ) -> None:
        self._study, self._strategy, self._records = study, strategy, history.records
        self._orders, self._in_flight = history.orders, in_flight
        self._again = deque(begun)

    def ready(self) -> int:
        """How many jobs could be handed out now."""
        return len(self._again) + self._strategy.ready()

    def is_done(self) -> bool:
        """Whether nothing is under way and nothing more will be asked for.

        Raises:
            StudyError: the strategy waits for a training that nobody trains.
        """
        if self._in_flight or self.ready():
            return False
        if self._strategy.ask() == "wait":
            raise StudyError("a search that waits must have a training under way, got none: a bug")
        return True

    def next_job(self) -> Job | Literal["wait", "done"]:
        """An attempt to make now; `wait` while others may lead to more; or `done`."""
        if self._again:
            return self._hand_out(self._again.popleft())
        answer = self._strategy.ask()
        if isinstance(answer, Training):
            return self._hand_out(answer)
        return "wait" if self._in_flight else answer

    def returned(self, job: Job, *, status: End, report: dict[str, Any]) -> bool:
        """An attempt has ended.

        Returns:
            Whether the training has ended with it.
        """
        training = job.training
        if not self._in_flight.returned(job):
            return False  # delivered twice
        record = self._records[training.key]
        record.status = status
        record.own_faults += status in OWN_FAULTS
        if status == "oom" and job.gpus:
            record.gpus = min(1.0, 2 * job.gpus)
        if record.is_final(self._study.max_attempts):
            self._strategy.tell(training, outcome_of(status, report))
            return True
        self._again.append(training)
        return False

    def _hand_out(self, training: Training) -> Job:
        record = self._records.setdefault(training.key, Record())
        given = self._study.resources.gpus
        scheduled = self._study.scheduler != "none"
        job = Job(
            training=training,
            attempt=record.attempts,
            order=self._orders,
            gpus=(record.gpus or given) if given else 0.0,
            prunable=scheduled and not record.is_promoted,
            lease=self._in_flight.owner,
        )
        record.attempts += 1
        self._orders += 1
        self._in_flight.hand_out(job)
        return job


def outcome_of(status: End, report: dict[str, Any]) -> Outcome:
    """What a strategy is told."""
    curve = tuple(report.get("curve", ()))
    return Outcome(status=status, values=dict(report.get("values", {})), curve=curve)
