"""What a running search shows: a bar on a terminal, plain lines elsewhere."""

import math
import sys
import time
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

import rich.progress
from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from search.drive.watcher import Watcher
from search.store.manifest import load_or_list
from search.store.part import KEY
from search.store.store import Store
from search.study.ends import FAULTS, FINAL, End
from search.study.metrics import METRICS
from search.study.networks import Networks
from search.study.study import Study
from search.study.training import Job, Training

LINE_EVERY_S = 10.0


@dataclass(kw_only=True)
class Tally:
    """The figures behind the bar.

    Args:
        study: whose first objective and own seeds say what is best.
        total: trainings of the study; None if unknown.
        ended: trainings that ended for good, in this run and before.
        failed: attempts of this run that failed, diverged or ran out of memory.
        among: the study's networks; None for a space too large to list.
        values: network id -> seed -> value of the complete trainings so far, of these networks and
            own seeds only.
    """

    study: Study
    total: int | None
    ended: int = 0
    failed: int = 0
    among: Networks | None = None
    values: dict[str, dict[int, float]] = field(default_factory=dict)
    running: int = 0
    ended_here: int = 0
    started: float = field(default_factory=time.monotonic)

    @classmethod
    def of(cls, store: Store, study: Study, *, total: int | None, ended: int) -> "Tally":
        """What the store holds already, so that a resumed search knows its best."""
        among = load_or_list(store.storage, study)
        tally = cls(study=study, total=total, ended=ended, among=among)
        column = METRICS[study.objectives[0].metric]
        table = store.trainings([*KEY, "status", column])
        for network, protocol, seed, status, value in zip(*table.to_pydict().values(), strict=True):
            if status == "complete" and protocol == study.protocol.protocol_id:
                tally.note(network, seed, value)
        return tally

    def add(self, training: Training, status: End, value: float | None) -> None:
        """An attempt ended."""
        self.failed += status in FAULTS
        if status in FINAL:
            self.ended += 1
            self.ended_here += 1
        if status == "complete":
            self.note(training.network_id, training.seed, value)

    def note(self, network_id: str, seed: int, value: float | None) -> None:
        """A complete training; others' networks and fresh seeds do not say which one is best."""
        is_own = seed in self.study.seeds and (self.among is None or network_id in self.among.row)
        if is_own and value is not None and math.isfinite(value):
            self.values.setdefault(network_id, {})[seed] = value

    @property
    def best(self) -> float | None:
        """The best network's mean over those of the study's seeds that are complete."""
        means = [fmean(seeds.values()) for seeds in self.values.values()]
        better = max if self.study.objectives[0].direction == "maximize" else min
        return better(means, default=None)

    @property
    def eta_s(self) -> float | None:
        """Seconds to go at the rate of this run."""
        if not self.ended_here or self.total is None:
            return None
        rate = self.ended_here / (time.monotonic() - self.started)
        return max(self.total - self.ended, 0) / rate

    def sentence(self) -> str:
        """The figures in less than 80 columns."""
        rate = self.ended_here / max(time.monotonic() - self.started, 1e-9)
        best = self.best
        parts = [
            f"{self.ended}/{self.total if self.total is not None else '?'}",
            f"{60 * rate:.3g}/min",
            f"ETA {duration(self.eta_s)}",
            f"best {'-' if best is None else f'{best:.4g}'}",
            f"failed {self.failed}",
        ]
        return "  ".join(parts)


class Progress(Watcher):
    """Shows a tally while a search runs; one of its watchers."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._console = Console(file=sys.stderr)
        self._live: Live | None = None
        self._shown = 0.0
        self._last = ""
        if self._console.is_terminal:
            self._live = Live(self._bar(), console=self._console, auto_refresh=False)
            self._live.start()

    def ended(self, job: Job, status: End, report: dict[str, Any]) -> None:
        """An attempt ended."""
        metric = self._tally.study.objectives[0].metric
        self._tally.add(job.training, status, report.get("values", {}).get(metric))

    def tick(self, running: int) -> None:
        """Show the figures, if it is time."""
        self._tally.running = running
        if time.monotonic() - self._shown > (0.5 if self._live else LINE_EVERY_S):
            self._show()

    def close(self) -> None:
        """Show the last figures."""
        self._show()
        if self._live:
            self._live.stop()

    def _show(self) -> None:
        self._shown = time.monotonic()
        if self._live:
            self._live.update(self._bar(), refresh=True)
        elif (line := self._tally.sentence()) != self._last:
            self._last = line
            print(line, file=sys.stderr, flush=True)

    def _bar(self) -> Table:
        table = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=self._tally.total, completed=self._tally.ended, width=12)
        table.add_row(bar, self._tally.sentence())
        return table


class EpochBar(Watcher):
    """Shows the epochs of a run that is one training."""

    def __init__(self, epochs: int) -> None:
        columns = (
            *rich.progress.Progress.get_default_columns(),
            rich.progress.TimeElapsedColumn(),
            rich.progress.TextColumn("{task.fields[last]}"),
        )
        self._bar = rich.progress.Progress(*columns, console=Console(file=sys.stderr))
        self._task = self._bar.add_task("epochs", total=epochs, last="")
        self._bar.start()

    def reported(self, job: Job, epochs: list[dict[str, Any]]) -> None:
        """Epochs that were finished."""
        last = epochs[-1]
        text = f"val acc {last['val_acc']:.4f}"
        self._bar.update(self._task, completed=last["epoch"], last=text)

    def close(self) -> None:
        """The run is over."""
        self._bar.stop()


def duration(seconds: float | None) -> str:
    """`1:02:03`, or `-` if unknown."""
    if seconds is None:
        return "-"
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def opening(study: Study, *, total: int, fresh: int, ended: int, address: str) -> str:
    """What is about to happen, in a line.

    Args:
        total: trainings of the study.
        fresh: of them, those of finalists.
        ended: of them, those that ended before.
    """
    networks, seeds = (total - fresh) // len(study.seeds), len(study.seeds)
    finalists = f" + {fresh} of finalists" if fresh else ""
    return (
        f"{study.name}: {_number(networks, 'network')} x {_number(seeds, 'seed')}{finalists} = "
        f"{_number(total, 'training')}, {ended:,} done; results in {address}"
    )


def say(text: str) -> None:
    """A line beside the bar, on stderr."""
    print(text, file=sys.stderr, flush=True)


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
