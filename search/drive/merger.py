"""Merges small files while a search runs, so that resume and status read few."""

from contextlib import suppress
from threading import Thread
from typing import Any

from search.drive.watcher import Watcher
from search.errors import StudyError
from search.store.compact import BATCH, merge_loose
from search.store.store import Store
from search.study.ends import End
from search.study.training import Job


class Merger(Watcher):
    """Watches a search and merges in the background, so that resume and status read few files."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._since = len(store.loose("cells"))
        self._thread: Thread | None = None

    def ended(self, job: Job, status: End, report: dict[str, Any]) -> None:
        """Count; merge when it is worth it."""
        self._since += 1
        if self._since >= BATCH and (self._thread is None or not self._thread.is_alive()):
            self._since = 0
            self._thread = Thread(target=self._merge, name="merger", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Wait for the merge under way."""
        if self._thread is not None:
            self._thread.join()

    def _merge(self) -> None:
        with suppress(StudyError, FileNotFoundError):  # whatever stays loose is merged later
            merge_loose(self._store)
