"""A store with drivers and workers that sleep, crash and come back, in virtual time and no Ray.

The store, the lease, the ledger, the desk and compaction are the real ones, on a real folder.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from search.drive.desk import Desk
from search.drive.plan import make_ledger, make_plan
from search.errors import LeaseError, StudyError
from search.sampling.pruner import Never
from search.store.compact import merge_all, merge_loose
from search.store.lease import Clock, Lease, assert_held
from search.store.lost import Loss, account_for
from search.store.past import past_of_run
from search.store.rows import Effort, epoch_rows, now, training_row
from search.store.store import Store
from search.study.study import Study
from search.study.training import Job
from stacnet.protocol import EpochResult

EPOCHS = 2
SLOTS = 2
BEAT_S = 2.0


class CrashError(Exception):
    """The process is gone."""


class Time(Clock):
    """Passes when somebody waits; whoever is awake then beats."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.beat: Callable[[], None] = lambda: None

    def monotonic(self) -> float:
        """Seconds since the start."""
        return self.now_s

    def sleep(self, seconds: float) -> None:
        """Let them pass."""
        before, self.now_s = self.now_s, self.now_s + seconds
        if before // BEAT_S != self.now_s // BEAT_S:
            self.beat()


def accuracy(job: Job) -> float:
    """What training a training gives: always the same."""
    return int(job.training.network_id[:4], 16) / 2**17 + (job.training.seed % 7) / 100


def opened(path: Path, *, writes: int | None = None) -> Store:
    """The store as one process sees it, which is gone after so many changes of files."""
    store, left = Store(path), [writes]

    def counted(change: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            if left[0] is not None:
                if left[0] == 0:
                    raise CrashError
                left[0] -= 1
            return change(*args)

        return call

    for name in ("write", "delete", "upload", "delete_folder"):
        setattr(store.storage, name, counted(getattr(store.storage, name)))
    return store


class Driver:
    """One run of a study, and its slots. What it does is what `search.drive.run` does.

    Raises:
        LeaseError: another driver lives.
        CrashError: it was gone before it had begun.
    """

    def __init__(self, path: Path, study: Study, time: Time, *, writes: int | None = None) -> None:
        self.path, self.is_awake, self.is_alive = path, True, True
        self.store = opened(path, writes=writes)
        self.lease = Lease(self.store.storage, clock=time)
        self.store.begin(study)
        account_for(self.lease, study=study, store=self.store)
        past = past_of_run(self.store)
        self.desk = Desk(
            store=self.store,
            study=study,
            ledger=make_ledger(past, make_plan(past), self.lease.in_flight),
            lease=self.lease,
            pruner=Never(),
            watchers=[],
        )
        self.workers: dict[str, Worker] = {}
        self._names = 0

    def open_slot(self) -> None:
        """If Tune would: one more worker with its first job."""
        if len(self.workers) == SLOTS or self.desk.must_end():
            return
        self._names += 1
        name = str(self._names)
        if isinstance(self.desk.claim(name), float):
            self.give(name, self.desk.opened(name, 0.0))

    def give(self, name: str, job: Job | str | None) -> None:
        """Put what the desk answered into the worker's hands; without a job it goes."""
        if isinstance(job, Job):
            self.workers[name] = Worker(self.path, self.desk.study, job)
            self.beat()  # the heart follows each beginning
        else:
            self.workers.pop(name, None)

    def hear(self, name: str, *, twice: bool) -> None:
        """What the worker has to say, perhaps delivered twice."""
        worker = self.workers[name]
        if isinstance(worker.error, LeaseError):
            self.desk.lost(name, Loss(cause="crash", text="raised"), worker.error)
            self.workers.pop(name)
        elif worker.is_gone:
            self.desk.lost(name, Loss(cause="crash", text="killed"), None)
            self.workers.pop(name)
        elif worker.is_done:
            if twice:
                self.desk.ledger.returned(worker.job, status=worker.status, report=worker.report)
            self.give(name, self.desk.reported(name, worker.report))

    def beat(self) -> None:
        """The heart beats by itself, but for a driver that sleeps."""
        if self.is_alive and self.is_awake and self.lease.trouble is None:
            try:
                self.lease.beat()
            except StudyError as error:
                self.lease.trouble = error
            except CrashError:
                self.is_alive = False

    def merge(self, *, everything: bool) -> None:
        """Compaction, as the run does it now and then, or at its end."""
        (merge_all if everything else merge_loose)(self.store)


class Worker:
    """One attempt at a training, a step at a time; every step may be its last, or come late."""

    def __init__(self, path: Path, study: Study, job: Job) -> None:
        self.job, self.is_gone, self.is_done = job, False, False
        self.status = "complete"
        self.error: StudyError | None = None
        self._path, self._study = path, study
        self._steps = self._work()
        self._writes: int | None = None

    @property
    def is_over(self) -> bool:
        """Whether no step is left."""
        return self.is_gone or self.is_done or self.error is not None

    @property
    def report(self) -> dict[str, Any]:
        """What it tells its driver at the end."""
        values = {"val_acc": accuracy(self.job)}
        curve = [accuracy(self.job)] * EPOCHS
        ended = {"ended": True, "status": self.status}
        return ended | {"values": values, "curve": curve, "epochs": []}

    def step(self, *, writes: int | None = None) -> None:
        """Go on a little; dies after so many writes, if that comes first."""
        self._writes = writes
        try:
            self.is_done = next(self._steps, "done") == "done"
        except StudyError as error:
            self.error = error
        except CrashError:
            self.is_gone = True

    def _work(self) -> Iterator[str]:
        storage = Store(self._path).storage
        assert_held(storage, self.job.lease)
        yield "trained"
        assert_held(storage, self.job.lease)
        yield "may write"
        store = opened(self._path, writes=self._writes)
        effort = Effort(started_at=now(), ended_at=now(), wall_s=1.0)
        facts: dict[str, Any] = {"val_acc_last": accuracy(self.job), "epochs": EPOCHS}
        facts |= dict.fromkeys(("val_loss_last", "test_acc_last", "test_loss_last"), 0.5)
        row = training_row(self.job, self._study, status=self.status, effort=effort, facts=facts)
        results = [_epoch(number, accuracy(self.job)) for number in (1, 2)]
        store.write_attempt(self.job, row, epoch_rows(self.job, results))


def _epoch(number: int, value: float) -> EpochResult:
    names = ("train_loss", "train_acc", "val_loss", "lr", "train_s", "eval_s")
    zeros = dict.fromkeys(names, 0.0)
    return EpochResult(epoch=number, val_acc=value, cum_s=float(number), resumed=False, **zeros)
