"""What a simulated search starts with: nothing, the pick as its first trial, or a prior."""

from collections.abc import Iterator
from dataclasses import dataclass

from analysis.predict.picks import Picks
from search.study.networks import Networks
from search.study.prior import Prior, ranked

CONTROLS = ("untrained", "permuted labels")  # maps that must not help, if learning is what counts

REVERSED = "reversed"


@dataclass(frozen=True, kw_only=True)
class Start:
    """A search's start.

    Args:
        label: behind the sampler's name; empty for nothing.
        first: points that are tried before the sampler is asked.
        scores: of the table's networks, in a prior; none for no prior.
    """

    label: str = ""
    first: tuple[int, ...] = ()
    scores: tuple[float | None, ...] = ()

    def of(self, strategy: str) -> str:
        """The strategy's name with this start."""
        return f"{strategy} {self.label}".strip()

    def prior(self, among: Networks, *, seed: int) -> Prior | None:
        """The prior of a run of that seed; equal scores stand in another order in another run."""
        if not self.scores:
            return None
        return ranked(self.label, among.points, self.scores, seed=seed)


ALONE = Start()


def is_wrong(name: str) -> bool:
    """Whether the replay of that name had a prior that is there to be wrong."""
    return " with prior " in name and name.endswith((*CONTROLS, REVERSED))


def starts(pick: int | None, picks: Picks | None, among: Networks) -> Iterator[Start]:
    """Alone; the pick first; the primary rule's prior: of the trained map, of controls, reversed.

    The reversed one says the opposite of what was predicted: as wrong as a prior that was right can
    be made.

    Args:
        pick: point of the primary rule's pick; None if it is none of these networks.
        picks: with the scores; None for no prior.
        among: the table's networks.
    """
    yield ALONE
    if pick is not None:
        yield Start(label="after the pick", first=(pick,))
    if picks is None:
        return
    rule = picks.primary_rule
    for name in (rule, *(f"{rule} on {control}" for control in CONTROLS)):
        scores = _scores(picks, name, among)
        if any(score is not None for score in scores):
            yield Start(label=f"with prior {name}", scores=scores)
    scores = _scores(picks, rule, among)
    if any(score is not None for score in scores):
        against = tuple(None if score is None else -score for score in scores)
        yield Start(label=f"with prior {rule} {REVERSED}", scores=against)


def _scores(picks: Picks, name: str, among: Networks) -> tuple[float | None, ...]:
    found = picks.find(name)
    of = dict(zip(picks.network_ids, found.scores, strict=True)) if found else {}
    return tuple(of.get(network_id) for network_id in among.network_ids)
