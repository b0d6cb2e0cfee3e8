"""Which training next: the plans of a search, free of Ray, so that a replay drives them too."""

import random
from collections.abc import Iterable, Sequence, Set
from typing import Literal, Protocol

from search.study.networks import Networks
from search.study.study import Exhaustive, Study
from search.study.training import Key, Outcome, Training

Answer = Training | Literal["wait", "done"]


class Strategy(Protocol):
    """What decides which training is trained next."""

    def ready(self) -> int:
        """How many trainings could be asked for now, before anything more is told.

        With 0, `ask` has no training; with more, it may still turn out to be done.
        """
        ...

    def ask(self) -> Answer:
        """A training that was not asked for before; `wait` for something to be told; or `done`."""
        ...

    def tell(self, training: Training, outcome: Outcome) -> None:
        """How a training ended, whoever asked for it; a strategy passes over those of others."""
        ...


class Listed:
    """The given trainings, one after the other.

    Args:
        trainings: made when their turn comes.
        number: how many they are.
    """

    def __init__(self, trainings: Iterable[Training], *, number: int) -> None:
        self._trainings, self._left = iter(trainings), number

    def ready(self) -> int:
        """All that are left."""
        return self._left

    def ask(self) -> Answer:
        """The next one."""
        for training in self._trainings:
            self._left -= 1
            return training
        self._left = 0
        return "done"

    def tell(self, training: Training, outcome: Outcome) -> None:
        """Nothing is learned."""


def planned(study: Study, among: Networks, *, known: Set[Key]) -> Listed:
    """The trainings of an exhaustive study in its shuffled order, without the known ones.

    A network is built only when its turn comes.
    """
    assert isinstance(study.strategy, Exhaustive)
    seeds, protocol_id = study.seeds, study.protocol.protocol_id
    order = list(range(len(among) * len(seeds)))
    random.Random(study.strategy.shuffle_seed).shuffle(order)  # part of it is an unbiased sample
    pairs = (divmod(index, len(seeds)) for index in order)
    owed = [
        (among.points[network], seeds[number])
        for network, number in pairs
        if (among.network_ids[network], protocol_id, seeds[number]) not in known
    ]
    trainings = (
        Training(spec=study.space.spec(point), protocol_id=protocol_id, seed=seed, point=point)
        for point, seed in owed
    )
    return Listed(trainings, number=len(owed))


class Chain:
    """One strategy after the other; all are told of every training."""

    def __init__(self, strategies: Sequence[Strategy]) -> None:
        self._strategies = tuple(strategies)
        self._now = 0

    def ready(self) -> int:
        """Of the first that is not done."""
        while self._now < len(self._strategies):
            number = self._strategies[self._now].ready()
            if number or self._strategies[self._now].ask() == "wait":
                return number
            self._now += 1
        return 0

    def ask(self) -> Answer:
        """From the first that is not done."""
        while self._now < len(self._strategies):
            answer = self._strategies[self._now].ask()
            if answer != "done":
                return answer
            self._now += 1
        return "done"

    def tell(self, training: Training, outcome: Outcome) -> None:
        """To all: a training that an earlier run began was asked for by none of them."""
        for strategy in self._strategies:
            strategy.tell(training, outcome)
