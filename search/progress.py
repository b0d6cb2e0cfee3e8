"""What a running search shows: a bar on a terminal, plain lines elsewhere."""

import math
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from search.cells import Job
from search.study import Objective
from search.watcher import Watcher

LINE_EVERY_S = 10.0


@dataclass(kw_only=True)
class Tally:
    """The figures behind the bar.

    Args:
        total: cells of the study; None if unknown.
        ended: cells that ended for good, in this run and before.
        failed: attempts of this run that failed, diverged or ran out of memory.
        best: best value of the first objective so far.
    """

    objective: Objective
    total: int | None
    ended: int = 0
    failed: int = 0
    best: float | None = None
    running: int = 0
    ended_here: int = 0
    started: float = field(default_factory=time.monotonic)

    def add(self, status: str, value: float | None) -> None:
        """An attempt ended."""
        self.failed += status in ("failed", "oom", "diverged")
        if status in ("complete", "pruned", "diverged"):
            self.ended += 1
            self.ended_here += 1
        if status == "complete" and value is not None and math.isfinite(value):
            better = max if self.objective.direction == "maximize" else min
            self.best = value if self.best is None else better(self.best, value)

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
        parts = [
            f"{self.ended}/{self.total if self.total is not None else '?'}",
            f"{60 * rate:.3g}/min",
            f"ETA {duration(self.eta_s)}",
            f"best {'-' if self.best is None else f'{self.best:.4g}'}",
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

    def ended(self, job: Job, status: str, report: dict[str, Any]) -> None:
        """An attempt ended."""
        self._tally.add(status, report.get("values", {}).get(self._tally.objective.metric))

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


def duration(seconds: float | None) -> str:
    """`1:02:03`, or `-` if unknown."""
    if seconds is None:
        return "-"
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"
