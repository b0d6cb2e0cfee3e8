"""Who looks on while a search runs: the progress bar, a logger, what merges small files."""

from typing import Any

from search.study.ends import End
from search.study.training import Job


class Watcher:
    """Somebody who looks on: the progress bar, a logger. Does nothing by itself."""

    def began(self, job: Job) -> None:
        """A worker has the job."""

    def working(self, job: Job, report: dict[str, Any]) -> None:
        """The worker has finished a slice; `report["machine"]` is its host and device."""

    def reported(self, job: Job, epochs: list[dict[str, Any]]) -> None:
        """Epochs that the job has finished since its last report."""

    def ended(self, job: Job, status: End, report: dict[str, Any]) -> None:
        """The attempt is over; `report["values"]` has its metrics."""

    def tick(self, running: int) -> None:
        """Some time has passed."""

    def close(self) -> None:
        """The run is over."""
