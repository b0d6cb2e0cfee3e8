"""Checkpoints of a training in the store: hashed, the last two kept, a torn one falls back."""

from typing import Any

from search.store.storage import Storage

KEPT = 2


class Checkpoints:
    """The checkpoints of one training, whichever attempt wrote them.

    A file's name is `<number>-<attempt>-<milliseconds of that attempt>.pt`, so that what an
    attempt lost can be told without opening it.

    Args:
        storage: of the study.
        training_id: whose they are.
    """

    def __init__(self, storage: Storage, training_id: str) -> None:
        self._storage = storage
        self._folder = f"checkpoints/{training_id}"

    def save(self, state: Any, *, attempt: int, spent_s: float) -> None:
        """Write one and remove all but the last two."""
        from stacnet.checkpoint import dumps  # torch, which a driver does not need

        names = self._names()
        number = 1 + max((int(name.split("-")[0]) for name in names), default=0)
        name = f"{number:06d}-{attempt}-{int(1000 * spent_s)}.pt"
        self._storage.write(f"{self._folder}/{name}", dumps(state))
        for old in [*names, name][:-KEPT]:
            self._storage.delete(f"{self._folder}/{old}")

    def latest(self) -> Any | None:
        """State of the newest whole checkpoint; None if there is none."""
        from stacnet.checkpoint import CheckpointError, loads

        for name in reversed(self._names()):
            try:
                return loads(self._storage.read(f"{self._folder}/{name}"))
            except (CheckpointError, FileNotFoundError):
                continue
        return None

    def spent_s(self, attempt: int) -> float:
        """Seconds of this attempt that its newest checkpoint saved; 0 without one."""
        parts = [name.removesuffix(".pt").split("-") for name in self._names()]
        saved = [int(milliseconds) for _, of, milliseconds in parts if int(of) == attempt]
        return max(saved, default=0) / 1000

    def clear(self) -> None:
        """Remove all."""
        if self._names():
            self._storage.delete_folder(self._folder)

    def _names(self) -> list[str]:
        return [name for name in self._storage.names(self._folder) if name.endswith(".pt")]
