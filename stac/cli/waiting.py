"""What a command that takes its time shows on stderr: nothing for a second, then how far it is."""

import sys
import threading
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from search.drive.progress import LINE_EVERY_S

PATIENCE_S = 1.0


class Waiting:
    """Shows what is being done while the body runs; stdout stays as it is.

    Args:
        about: what is done, until the work itself says more.
    """

    def __init__(self, about: str) -> None:
        self._text, self._done, self._total = about, 0, 0
        self._said = 0.0
        self._lock = threading.Lock()
        self._shown = False
        self._timer = threading.Timer(PATIENCE_S, self._show)
        self._timer.daemon = True
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(20))
        counts = (MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("ETA"))
        self._bar = Progress(
            *columns, *counts, TimeRemainingColumn(), console=Console(stderr=True), transient=True
        )
        self._task = self._bar.add_task(about, total=None)

    def tell(self, text: str, done: int, total: int) -> None:
        """So much of it is done."""
        with self._lock:
            if text != self._text:
                self._bar.reset(self._task)
            self._text, self._done, self._total = text, done, total
            self._bar.update(self._task, description=text, completed=done, total=total)
            if self._shown and time.monotonic() - self._said > LINE_EVERY_S:
                self._line()

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        with self._lock:
            self._shown = True  # a timer that fires now comes too late
            if self._bar.live.is_started:
                self._bar.stop()

    def _show(self) -> None:
        with self._lock:
            if self._shown:
                return
            self._shown = True
            if self._bar.console.is_terminal:
                self._bar.start()
            else:
                self._line()

    def _line(self) -> None:
        """For a log: a line now and then."""
        if self._bar.console.is_terminal:
            return
        self._said = time.monotonic()
        count = f" {self._done}/{self._total}" if self._total else ""
        print(f"{self._text}{count} ...", file=sys.stderr, flush=True)
