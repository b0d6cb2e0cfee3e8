"""The judge of faults.py: what was lost, wrong, blamed or left after a fault, by study."""

import random
import time
from dataclasses import dataclass
from pathlib import Path

from fault_kinds import Driver, descendants, left_over  # pyright: ignore[reportAttributeAccessIssue]

from search.store.check import check
from search.store.part import KEY
from search.store.schema import DETERMINISTIC_CELLS, DETERMINISTIC_EPOCHS
from search.store.store import Store
from search.study.ends import OWN_FAULTS

CELLS = {"marathon": 27, "racing": 16, "halving": 20}


@dataclass
class Line:
    """One row of the table; counts of what must not happen."""

    fault: str
    times: int = 0
    lost: int = 0
    wrong: int = 0
    blamed: int = 0
    left: int = 0
    unclean: int = 0
    seconds: float = 0.0

    def texts(self) -> list[str]:
        """As text."""
        bad = (self.lost, self.wrong, self.blamed, self.left, self.unclean)
        return [self.fault, str(self.times), *map(str, bad), f"{self.seconds:,.0f}"]


HEAD = (
    "fault",
    "times",
    "rows lost",
    "values wrong",
    "trainings blamed",
    "processes left",
    "unclean ends",
    "seconds",
)


class Bench:
    """The folder, the time that is left, and the undisturbed run."""

    def __init__(self, folder: Path, *, minutes: float, seed: int) -> None:
        self.folder, self.rng = folder, random.Random(seed)
        self._number = 0
        peace = self.out("peace")
        assert Driver(peace, "marathon").finish(timeout_s=600) == 0
        self._trainings, self._epochs = facts(Store(peace))
        self._until = time.monotonic() + 60 * minutes

    def out(self, name: str) -> Path:
        """A new folder for a study."""
        self._number += 1
        return self.folder / f"{self._number}-{name}"

    def goes_on(self) -> bool:
        """Whether there is time for another fault."""
        return time.monotonic() < self._until

    def judge(self, line: Line, store: Store, study: str, *, allowed: int = 0) -> None:
        """Compare a finished study with the undisturbed run; `allowed` crashes were inflicted."""
        trainings, epochs = facts(store)
        line.lost += CELLS[study] - len(trainings)
        line.wrong += sum(self._epochs.get(key) != row for key, row in epochs.items())
        statuses = store.trainings([*KEY, "status"]).to_pylist()
        done = {tuple(row[name] for name in KEY) for row in statuses if row["status"] == "complete"}
        line.wrong += sum(self._trainings.get(key) != trainings[key] for key in done)
        line.unclean += len(check(store))
        every = store.trainings(["status"], all_attempts=True)["status"].to_pylist()
        line.blamed += max(sum(status in OWN_FAULTS for status in every) - allowed, 0)


def facts(store: Store) -> tuple[dict[tuple, dict], dict[tuple, dict]]:
    """Deterministic columns of both tables by key."""
    trainings = store.trainings(DETERMINISTIC_CELLS).to_pylist()
    epochs = store.epochs(DETERMINISTIC_EPOCHS).to_pylist()
    by_epoch = (*KEY, "epoch")
    return (
        {tuple(row[name] for name in KEY): row for row in trainings},
        {tuple(row[name] for name in by_epoch): row for row in epochs},
    )


def finish(driver: Driver, line: Line, *, expect: int) -> None:
    """Wait for the end of a driver; another exit code, or a process that stays, is counted."""
    pids = [driver.process.pid, *descendants(driver.process.pid)]
    line.unclean += driver.finish(timeout_s=600) != expect
    line.left += left_over(pids)
