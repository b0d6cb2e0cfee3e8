"""How long work says how far it is: a function that is told what is done, how much, of how much."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Tell = Callable[[str, int, int], None]
_T = TypeVar("_T")


def quietly(text: str, done: int, total: int) -> None:
    """Nobody wants to know."""


def counted(items: Iterable[_T], *, text: str, total: int, tell: Tell) -> Iterator[_T]:
    """The items; the listener is told when each has come."""
    tell(text, 0, total)
    for number, item in enumerate(items, start=1):
        tell(text, number, total)
        yield item
