"""Which cell next: the plans of a search, free of Ray, so that a replay drives the same ones."""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Literal, Protocol

from search.cells import Cell, Key, Outcome

Answer = Cell | Literal["wait", "done"]


class Strategy(Protocol):
    """What decides which cell is trained next."""

    def ask(self) -> Answer:
        """A cell that was not asked for before; `wait` for something to be told; or `done`."""
        ...

    def tell(self, cell: Cell, outcome: Outcome) -> None:
        """How a cell ended; each cell that was asked for is told once."""
        ...


class Listed:
    """The given cells, one after the other."""

    def __init__(self, cells: Iterable[Cell]) -> None:
        self._left = iter(cells)

    def ask(self) -> Answer:
        """The next one."""
        for cell in self._left:
            return cell
        return "done"

    def tell(self, cell: Cell, outcome: Outcome) -> None:
        """Nothing is learned."""


class Chain:
    """One strategy after the other."""

    def __init__(self, strategies: Sequence[Strategy]) -> None:
        self._left = deque(strategies)
        self._asked: dict[Key, Strategy] = {}

    def ask(self) -> Answer:
        """From the first that is not done."""
        while self._left:
            answer = self._left[0].ask()
            if answer != "done":
                if isinstance(answer, Cell):
                    self._asked[answer.key] = self._left[0]
                return answer
            self._left.popleft()
        return "done"

    def tell(self, cell: Cell, outcome: Outcome) -> None:
        """To the one that asked."""
        strategy = self._asked.pop(cell.key, None)
        if strategy is not None:
            strategy.tell(cell, outcome)
