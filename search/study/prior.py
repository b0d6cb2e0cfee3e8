"""A prior: the networks that a predictor would try first, asked for at a rate that decays.

After n networks, the next one is the prior's at the rate BETA / (BETA + n); all others are the
sampler's. Whose turn it is depends on n alone, so of the first T networks at most
BETA ln(1 + T / BETA) + 1 are the prior's: that is all that a wrong one can cost, and its share of a
search goes to zero. The rate is that of piBO (Hvarfner et al., ICLR 2022: acquisition times
prior^(beta / n)), the mixing that of PriorBand (Mallik et al., NeurIPS 2023); no hook of a sampler
is needed, see docs/decisions/0005-a-prior-has-turns.md.
"""

import math
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

BETA = 5.0  # after so many networks every other one is the prior's, and fewer from then on
MOST = 1000  # networks that a prior holds: there are 53 turns in 200,000 trainings
HINTED = WARM_START, PRIOR = "warm start", "prior "  # how `suggested_by` begins


@dataclass(frozen=True, kw_only=True)
class Prior:
    """What a predictor would try.

    Args:
        predictor: name, as in picks.json.
        points: networks of the study's space, the best-scored first, at most `MOST`.
    """

    predictor: str
    points: tuple[int, ...]


def ranked(
    predictor: str, points: Sequence[int], scores: Sequence[float | None], *, seed: int
) -> Prior:
    """The prior of these scores; only their order counts.

    Equal ones stand in a random order. A network without a finite score is never the prior's.

    Args:
        points: of the networks; scores: of each, higher is better.
        seed: of the order among equals.
    """
    rng = random.Random(seed)
    scored = [
        (-score, rng.random(), point)
        for point, score in zip(points, scores, strict=True)
        if score is not None and math.isfinite(score)
    ]
    return Prior(predictor=predictor, points=tuple(point for *_, point in sorted(scored)[:MOST]))


def turns(trials: int) -> int:
    """How many of the first `trials` networks are the prior's."""
    return math.ceil(BETA * math.log1p(trials / BETA))


class Suggestions:
    """What comes before the sampler: warm-start points at once, a prior's at its turns.

    Args:
        first: points to try first.
        prior: whose points are tried at its turns.
    """

    def __init__(self, first: Iterable[int] = (), prior: Prior | None = None) -> None:
        self._first = iter(dict.fromkeys(first))
        self._points = iter(prior.points if prior else ())
        self._name = PRIOR + prior.predictor if prior else ""

    def after(self, asked: int) -> Iterator[tuple[int, str]]:
        """Points to try after so many networks, until one is new; and who suggests each."""
        yield from ((point, WARM_START) for point in self._first)
        if turns(asked + 1) > turns(asked):
            yield from ((point, self._name) for point in self._points)
