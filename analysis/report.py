"""One self-contained HTML about one or several studies, with its figures and tables as files."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from analysis import sentences
from analysis.curves import draw_curves
from analysis.facts import StudyFacts, gather
from analysis.figure_replay import draw_replays
from analysis.figures import to_bytes
from analysis.figures_map import draw_map, map_facts
from analysis.figures_study import (
    cost_facts,
    draw_costs,
    draw_frontier,
    draw_ranking,
    frontier_facts,
    ranking_facts,
)
from search.store import Store

TITLE = "Where should attention go?"


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure with its name and what a reader who cannot see it should know."""

    name: str
    caption: str
    figure: Figure


def report(folders: Sequence[str], out: str | Path | None = None, *, title: str = TITLE) -> str:
    """Write report.html, and report/ with figures (SVG, PNG), tables (CSV) and facts (JSON).

    Args:
        folders: study folders; several studies share one HTML.
        out: the HTML file; by default report.html in the first folder, which may be on s3.

    Returns:
        Where the HTML is.

    Raises:
        ValueError: a folder holds no study, or a file in it does not fit.
    """
    stores = [Store(folder) for folder in folders]
    studies = [gather(store) for store in stores]
    for store, facts in zip(stores, studies, strict=True):
        for name, data in side_files(facts):
            store.storage.write(f"report/{name}", data)
    page = render(studies, title=title).encode()
    if out is None:
        stores[0].storage.write("report.html", page)
        return f"{stores[0].address}/report.html"
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    Path(out).write_bytes(page)
    return str(out)


def render(studies: Sequence[StudyFacts], *, title: str = TITLE) -> str:
    """The HTML page; it needs nothing but itself."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.globals["words"] = sentences
    environment.filters["inline"] = _inline
    template = environment.from_string(files("analysis").joinpath("report.html").read_text())
    parts = [{"facts": facts, "pictures": list(pictures(facts))} for facts in studies]
    return template.render(title=title, parts=parts)


def pictures(facts: StudyFacts) -> Iterator[Picture]:
    """The figures that the facts allow."""
    if facts.chart:
        yield Picture(
            name="map",
            caption="Class consistency of neighbours (0 is chance, 1 the ceiling) per stage and "
            "scale. A claim about learning needs the trained map to differ from its controls.",
            figure=draw_map(map_facts(facts.chart)),
        )
    comparison = facts.comparison
    if comparison is None:
        return
    yield Picture(
        name="frontier",
        caption="Every trained network on the seeds that measure; the frontier was selected on "
        "other seeds.",
        figure=draw_frontier(frontier_facts(comparison)),
    )
    yield Picture(
        name="ranking",
        caption="Every rule, control and baseline by the regret of its pick, with 95 % intervals "
        "over seeds where there are enough. Blue: rules; orange: controls; light blue: other "
        "estimators; grey: fixed placements and cost; green: zero-cost proxies; red: has seen "
        "trainings.",
        figure=draw_ranking(ranking_facts(comparison)),
    )
    if facts.replays:
        yield Picture(
            name="replay",
            caption=f"{facts.replays[0].runs} simulated searches each, on the stored results: "
            "median and quartiles.",
            figure=draw_replays(facts.replays, pick_regret=comparison.primary.regret.value),
        )
    if facts.curves:
        yield Picture(
            name="curves",
            caption="Learning curves, mean and range over seeds.",
            figure=draw_curves(facts.curves),
        )
    yield Picture(
        name="costs",
        caption="Device seconds. A training that a predictor needs counts as its cost.",
        figure=draw_costs(cost_facts(comparison)),
    )


def side_files(facts: StudyFacts) -> Iterator[tuple[str, bytes]]:
    """Figures, tables and facts as files: (name, content)."""
    for picture in pictures(facts):
        yield f"{picture.name}.svg", to_bytes(picture.figure, kind="svg")
        yield f"{picture.name}.png", to_bytes(picture.figure, kind="png")
    yield "facts.json", facts.to_json().encode()
    if facts.comparison:
        yield "ranking.csv", _table([_ranking_row(j) for j in facts.comparison.to_dict()["judged"]])
    if facts.chart:
        rows = facts.to_dict()["map"]["readings"]
        yield "map.csv", _table([{k: v for k, v in r.items() if k != "matrix"} for r in rows])


def _ranking_row(judged: dict) -> dict:
    """A flat row: nested values become columns named parent_child."""
    flat = {}
    for name, value in judged.items():
        inner = value if isinstance(value, dict) else {"": value}
        for key, leaf in inner.items():
            if not isinstance(leaf, dict):
                flat[f"{name}_{key}".rstrip("_")] = leaf
    return flat


def _table(rows: list[dict]) -> bytes:
    text = io.StringIO()
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(text, fieldnames=names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _inline(figure: Figure) -> Markup:
    svg = to_bytes(figure, kind="svg").decode()
    return Markup(svg[svg.index("<svg") :])
