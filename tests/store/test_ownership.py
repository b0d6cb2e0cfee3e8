"""The law of the store: whoever sleeps, crashes or comes late, nothing final is lost or replaced.

Two drivers at a time, workers that write long after their driver is gone, crashes between any two
writes, reports that come twice, compaction at any moment: found by hypothesis, without Ray.
"""

import shutil
import tempfile
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from searches import cheap
from world import SLOTS, CrashError, Driver, Time, Worker

from search.errors import LeaseError
from search.store.check import check
from search.store.part import KEY
from search.store.store import Store
from search.study.study import Sampled, Study

pytestmark = pytest.mark.slow  # takes seconds

SEEDS = (0, 2**61 - 1)  # the same to Python's hash
writes = st.sampled_from([None, None, 0, 1, 2, 3, 4])


def study(kind: str) -> Study:
    """Four networks with both seeds; or three of them with one, as many at once as slots."""
    base = cheap(epochs=2, seeds=SEEDS)
    space = replace(base.space, scales=(("off", 1), ("off", 1), ("off",)))
    asked = replace(base, space=space, max_attempts=50)
    if kind == "sampled":
        strategy = Sampled(sampler="random", trials=3, concurrency=2)
        return replace(asked, seeds=SEEDS[:1], strategy=strategy)
    return asked


class Ownership(RuleBasedStateMachine):
    """Anything may happen to drivers and workers, in any order."""

    @initialize(kind=st.sampled_from(["exhaustive", "sampled"]))
    def begin(self, kind: str) -> None:
        """An empty folder."""
        self.folder = Path(tempfile.mkdtemp(prefix="stac-world-"))
        self.path, self.study, self.time = self.folder / "study", study(kind), Time()
        self.drivers: list[Driver] = []
        self.late: list = []  # workers whose driver is gone
        self.final: set[tuple] = set()
        self.torn: set[str] = set()
        self.time.beat = lambda: [driver.beat() for driver in self.drivers]
        self.start(writes=None)

    def teardown(self) -> None:
        """Whatever happened, the next undisturbed run finishes the study."""
        if not hasattr(self, "path"):
            return
        try:
            for driver in self.drivers:
                driver.is_alive = False
            self.finish()
        finally:
            shutil.rmtree(self.folder)

    @rule(writes=writes)
    def start(self, writes: int | None) -> None:
        """A driver begins or resumes; it may crash at its first writes."""
        if len(self.drivers) < 3:
            with suppress(LeaseError, CrashError):
                self.drivers.append(Driver(self.path, self.study, self.time, writes=writes))

    @rule(data=st.data())
    def open(self, data: st.DataObject) -> None:
        """Slots of a driver get jobs."""
        if driver := self._one(data, awake=True):
            for _ in range(SLOTS):
                self._as_process(driver, driver.open_slot)

    @rule(data=st.data(), rounds=st.integers(1, 3))
    def run_in_peace(self, data: st.DataObject, rounds: int) -> None:
        """A driver and its workers do their work for a while."""
        for _ in range(rounds):
            if driver := self._one(data, awake=True):
                self._as_process(driver, driver.open_slot)
                for name in list(driver.workers):
                    self._advance(driver.workers[name], steps=3, writes=None)
                    if driver.workers[name].is_over:
                        self._as_process(driver, partial(driver.hear, name, twice=False))

    @rule(data=st.data(), steps=st.sampled_from([3, 1, 2]), writes=writes)
    def work(self, data: st.DataObject, steps: int, writes: int | None) -> None:
        """A worker goes on, also one whose driver sleeps or is gone."""
        workers = [w for d in self.drivers for w in d.workers.values()] + self.late
        workers = [worker for worker in workers if not worker.is_over]
        if workers:
            self._advance(data.draw(st.sampled_from(workers)), steps=steps, writes=writes)

    @rule(data=st.data(), twice=st.booleans())
    def hear(self, data: st.DataObject, twice: bool) -> None:
        """A driver hears of a worker."""
        driver = self._one(data, awake=True)
        names = [n for n, w in driver.workers.items() if w.is_over] if driver else []
        if driver and names:
            name = data.draw(st.sampled_from(names))
            self._as_process(driver, lambda: driver.hear(name, twice=twice))

    @rule(data=st.data())
    def stop_or_continue(self, data: st.DataObject) -> None:
        """SIGSTOP or SIGCONT."""
        if driver := self._one(data):
            driver.is_awake = not driver.is_awake

    @rule(data=st.data())
    def oversleep(self, data: st.DataObject) -> None:
        """A driver sleeps so long that another takes over."""
        if driver := self._one(data, awake=True):
            self._as_process(driver, driver.open_slot)
            driver.is_awake = False
            self.wait(seconds=30.0)
            self.start(writes=None)

    @rule(data=st.data())
    def wind_up(self, data: st.DataObject) -> None:
        """A worker is told to stop before the end of its training."""
        workers = [w for d in self.drivers for w in d.workers.values()]
        if those := [worker for worker in workers if not worker.is_over]:
            data.draw(st.sampled_from(those)).status = "preempted"

    @rule(data=st.data())
    def kill(self, data: st.DataObject) -> None:
        """SIGKILL to a driver; its workers may go on for a while."""
        if driver := self._one(data):
            self._bury(driver)

    @rule(seconds=st.sampled_from([1.0, 5.0, 30.0]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        for _ in range(int(seconds)):
            self.time.sleep(1.0)

    @rule(data=st.data(), everything=st.booleans())
    def merge(self, data: st.DataObject, everything: bool) -> None:
        """A driver merges small files, and may crash in between."""
        if driver := self._one(data, awake=True):
            self._as_process(driver, lambda: driver.merge(everything=everything))

    @rule(data=st.data())
    def tear(self, data: st.DataObject) -> None:
        """The disk loses the end of a curve: its training is owed again."""
        store = Store(self.path)
        if names := store.loose("epochs"):
            name = data.draw(st.sampled_from(names))
            if name in self.torn:
                return
            file = self.path / "epochs" / name
            keys = store.read_part("epochs", name, [*KEY, "attempt", "lease"]).to_pylist()
            file.write_bytes(file.read_bytes()[:-30])
            self.torn.add(name)
            self.final -= {tuple(row.values()) for row in keys}

    @invariant()
    def nothing_final_is_lost_or_replaced(self) -> None:
        """Every attempt that ended well is still there, as it was."""
        if not hasattr(self, "path") or not self.path.exists():
            return
        rows = Store(self.path).trainings([*KEY, "attempt", "lease", "status"], all_attempts=True)
        kept = {tuple(r.values())[:-1] for r in rows.to_pylist() if r["status"] == "complete"}
        assert self.final <= kept

    def finish(self) -> None:
        """One more driver, undisturbed; then every training is there once, with its own value."""
        driver = Driver(self.path, self.study, self.time)
        for _ in range(200):
            if driver.desk.must_end():
                break
            driver.open_slot()
            for name in list(driver.workers):
                while not driver.workers[name].is_over:
                    driver.workers[name].step()
                driver.hear(name, twice=False)
        assert driver.desk.trouble is None, driver.desk.trouble
        driver.lease.release()
        for worker in self.late:  # nobody's any more: they look at the lease and leave
            while not worker.is_over:
                worker.step()
        driver.merge(everything=True)
        self.judge()

    def judge(self) -> None:
        """The store at rest."""
        store = Store(self.path)
        broken = check(store)
        others = [line for line in broken if not any(name in line for name in self.torn)]
        assert not others, others
        assert all(any(name in line for line in broken) for name in self.torn)
        rows = store.trainings([*KEY, "status", "val_acc_last"]).to_pylist()
        networks = 3 if isinstance(self.study.strategy, Sampled) else 4
        assert len({row["network_id"] for row in rows}) == networks
        assert Counter(row["seed"] for row in rows) == dict.fromkeys(self.study.seeds, networks)
        assert {row["status"] for row in rows} == {"complete"}
        assert store.epochs().num_rows == 2 * len(rows)

    def _advance(self, worker: Worker, *, steps: int, writes: int | None) -> None:
        for _ in range(steps):
            if not worker.is_over:
                worker.step(writes=writes)
        if worker.is_done and worker.status == "complete":
            self.final.add((*worker.job.training.key, worker.job.attempt, worker.job.lease))

    def _one(self, data: st.DataObject, *, awake: bool = False) -> Driver | None:
        those = [d for d in self.drivers if d.is_alive and (d.is_awake or not awake)]
        return data.draw(st.sampled_from(those)) if those else None

    def _as_process(self, driver: Driver, act) -> None:
        try:
            act()
        except CrashError:
            self._bury(driver)

    def _bury(self, driver: Driver) -> None:
        driver.is_alive = False
        self.late += driver.workers.values()
        self.drivers.remove(driver)


TestOwnership = Ownership.TestCase
TestOwnership.settings = settings(
    deadline=None,
    max_examples=25,
    stateful_step_count=25,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking takes many minutes here
)
