"""Replayed searches as a table: trials until the best is found, and trials that a start saves."""

from collections.abc import Iterable, Iterator

from analysis.replay.simulate import Replay

HEADINGS = ("search", "to match", "solved", "to the best", "found", "saved", "regret")
NOTE = (
    "Trials, medians of the runs. To match: until the best so far is as good as the pick. To the "
    "best: until it is within the study's margin of the best network (quartiles); a run that "
    "never gets there counts with all its trials. Saved: against the same sampler alone (95 % "
    "interval over runs); below 0 they are lost. Regret: of the best at the end, points. Priors "
    "of an untrained network, of permuted labels, and the reversed one are there to be wrong."
)
DASH = "\N{EN DASH}"


def replay_rows(replays: Iterable[Replay]) -> Iterator[tuple[str, ...]]:
    """A row of texts per replay, in the order of `HEADINGS`; a dash for what is not known."""
    for one in replays:
        best, low, high = map(
            _text, (one.trials_to_best, one.trials_to_best_low, one.trials_to_best_high)
        )
        saved, least, most = map(_text, one.saved[:3]) if one.saved else (DASH,) * 3
        yield (
            one.name,
            _text(one.trials_to_match),
            _text(100 * one.solved, end=" %"),
            best if best == DASH else f"{best} ({low} to {high})",
            _text(100 * one.found, end=" %"),
            saved if saved == DASH else f"{saved} [{least}, {most}]",
            _text(100 * one.regret[-1], digits=2),
        )


def _text(value: float, *, digits: int = 0, end: str = "") -> str:
    if value != value:
        return DASH
    rounded = round(value, digits) + 0.0  # no minus zero
    return f"{rounded:,.{digits}f}{end}".replace("-", "\N{MINUS SIGN}")
