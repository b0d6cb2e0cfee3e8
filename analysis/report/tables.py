"""The table of all predictors, as a reader sees it and as CSV."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from analysis.judge.comparison import Comparison
from analysis.judge.judged import Judged
from analysis.report.sentences import percent, scales_text

MAIN = 10  # rows that are shown at once
ASKED_FOR = ("SE everywhere", "static, pick's scales")


@dataclass(frozen=True, kw_only=True)
class Value:
    """One entry of a table."""

    text: str
    is_number: bool


@dataclass(frozen=True, kw_only=True)
class Row:
    """One predictor in the table."""

    is_primary: bool
    values: tuple[Value, ...]


def table_rows(comparison: Comparison) -> tuple[list[Row], list[Row]]:
    """The rows that matter, and the rest: each by regret, the primary first."""
    (primary, *main), rest = ranked(comparison)
    return [_row(primary, is_primary=True), *map(_row, main)], list(map(_row, rest))


def ranked(comparison: Comparison) -> tuple[list[Judged], list[Judged]]:
    """The predictors that matter, and the rest: each by regret, the primary first.

    What matters is the primary rule, its controls, fixed placements that a reader asks for, and the
    strongest of the other baselines, ten rows in all.
    """
    by_regret = sorted(
        comparison.judged[1:],
        key=lambda j: (j.regret.value != j.regret.value, j.regret.value, j.name),
    )
    others = [j for j in by_regret if j.family in ("cost", "proxy", "training", "reference")]
    first = [j for j in by_regret if j.family == "control" and _is_asked_for(j, comparison)]
    first += [j for j in others if j.name in ASKED_FOR]
    first += [j for j in others if j not in first]
    first = first[: MAIN - 1]
    main = [j for j in by_regret if j in first]
    return [comparison.primary, *main], [j for j in by_regret if j not in first]


def _is_asked_for(judged: Judged, comparison: Comparison) -> bool:
    return judged.name.startswith(f"{comparison.primary_rule} on ")


def _row(judged: Judged, *, is_primary: bool = False) -> Row:
    accuracy, regret, verdict = judged.network.accuracy.value, judged.regret, judged.verdict
    interval = f" [{number(100 * regret.low)}, {number(100 * regret.high)}]"
    numbers = (
        percent(accuracy),
        number(100 * regret.value) + (interval if regret.low == regret.low else ""),
        number(judged.percentile.value, digits=0),
        number(judged.trials_to_match),
        number(judged.tau.value, digits=2),
        _p(judged.ranking_p if is_primary else judged.tau_p_holm),
        number(judged.tau_within_macs, digits=2),
        number(judged.hypervolume_ratio.get("macs", float("nan")), digits=2),
        number(judged.cost_s),
    )
    values = [Value(text=judged.name + " (blind)" * judged.is_blind, is_number=False)]
    equals = f" (one of {judged.tied_picks} equal)" if judged.tied_picks > 1 else ""
    values += [Value(text=scales_text(judged.network) + equals, is_number=False)]
    values += [Value(text=text, is_number=True) for text in numbers]
    ranking = verdict.ranking.removesuffix(" from a random map")  # the note under the table says it
    values += [Value(text=word, is_number=False) for word in (ranking, verdict.choice)]
    return Row(is_primary=is_primary, values=tuple(values))


def _p(value: float) -> str:
    return "<0.001" if value < 0.0005 else number(value, digits=3)


def number(value: float, *, digits: int = 1) -> str:
    """With so many decimals; a dash if it is missing."""
    if value != value:
        return "\N{EN DASH}"
    rounded = round(value, digits) + 0.0  # no minus zero
    return f"{rounded:,.{digits}f}".replace("-", "\N{MINUS SIGN}")


def flat(judged: dict[str, Any]) -> dict[str, Any]:
    """A predictor as one flat row: nested values become columns named parent_child."""
    row = {}
    for name, value in judged.items():
        inner = value if isinstance(value, dict) else {"": value}
        for key, leaf in inner.items():
            if not isinstance(leaf, dict):
                row[f"{name}_{key}".rstrip("_")] = leaf
    return row


def to_csv(rows: Sequence[dict[str, Any]]) -> bytes:
    """Rows as CSV, columns in the order of their first appearance."""
    text = io.StringIO()
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(text, fieldnames=names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
