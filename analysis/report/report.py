"""One self-contained HTML about one or several studies, with its figures and tables as files."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from analysis.judge.across import Across, across
from analysis.judge.comparison import Comparison
from analysis.predict.rules import MEANING
from analysis.report import about, replay_table, sentences
from analysis.report.checklist import checklist
from analysis.report.facts import StudyFacts, gather
from analysis.report.figure_curves import draw_curves
from analysis.report.figure_replay import draw_replays
from analysis.report.figures import to_bytes
from analysis.report.figures_map import draw_map, map_facts
from analysis.report.figures_study import (
    cost_facts,
    draw_costs,
    draw_frontier,
    draw_ranking,
    frontier_facts,
    ranking_facts,
)
from analysis.report.sentences import count_seeds
from analysis.report.tables import flat, number, table_rows, to_csv
from search.store.storage import Storage
from search.store.store import Store

BEST = " The best network is mapped the same way: did its headroom close where a gate went?"
TITLE = "Where should attention go?"


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure with its name and what a reader who cannot see it should know."""

    name: str
    caption: str
    figure: Figure

    @cached_property
    def svg(self) -> bytes:
        """The figure as SVG, drawn once."""
        return to_bytes(self.figure, kind="svg")

    def png(self) -> bytes:
        """The same as PNG, laid out as the SVG: laying out takes longer than drawing."""
        assert self.svg
        self.figure.set_layout_engine("none")
        return to_bytes(self.figure, kind="png")


@dataclass(frozen=True, kw_only=True)
class Part:
    """One study's part of the page."""

    facts: StudyFacts
    pictures: tuple[Picture, ...]

    @classmethod
    def of(cls, facts: StudyFacts) -> "Part":
        """The part with every figure that the facts allow."""
        return cls(facts=facts, pictures=tuple(pictures(facts)))


def report(folders: Sequence[str], out: str | Path | None = None, *, title: str = TITLE) -> str:
    """Write report.html, and report/ with figures (SVG, PNG), tables (CSV) and facts (JSON).

    Args:
        folders: study folders; several studies share one HTML.
        out: the HTML file; by default report.html in the first folder, which may be on s3. A study
            that ships, if it is the first, has NAME.html and the folder NAME here; if others come
            before it, it is on their page alone.

    Returns:
        Where the HTML is.

    Raises:
        ValueError: a folder holds no study, or a file in it does not fit.
    """
    stores = [Store(folder) for folder in folders]
    parts = [Part.of(gather(store)) for store in stores]
    beside = Path(out).parent if out else Path()
    for store, part in zip(stores, parts, strict=True):
        name = part.facts.study.name
        if store.storage.is_shipped and store is not stores[0]:
            continue
        target = Storage(beside / name) if store.storage.is_shipped else store.storage
        for file, data in side_files(part):
            target.write(f"report/{file}", data)
    page = render(parts, title=title).encode()
    if out is None and stores[0].storage.is_shipped:
        out = f"{parts[0].facts.study.name}.html"
    if out is None:
        stores[0].storage.write("report.html", page)
        return f"{stores[0].address}/report.html"
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    Path(out).write_bytes(page)
    return str(out)


def render(parts: Sequence[Part], *, title: str = TITLE) -> str:
    """The HTML page; it needs nothing but itself."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.globals |= {
        "words": sentences,
        "about": about,
        "checklist": checklist,
        "table_rows": table_rows,
    }
    environment.globals |= {"number": number}
    environment.globals |= {
        "replay_headings": replay_table.HEADINGS,
        "replay_rows": replay_table.replay_rows,
        "replay_note": replay_table.NOTE,
    }
    environment.filters["inline"] = _inline
    template = environment.from_string(files("analysis.report").joinpath("report.html").read_text())
    return template.render(title=title, parts=parts, rules=MEANING, across=_across(parts))


def _across(parts: Sequence[Part]) -> Across | None:
    """What several data sets have in common; of each the largest study counts."""
    judged = [(p.facts.study, p.facts.comparison) for p in parts if p.facts.comparison]
    judged.sort(key=lambda one: one[1].trained)
    of_data = {study.protocol.data: (study, comparison) for study, comparison in judged}
    return across(list(of_data.values())) if len(of_data) > 1 else None


def pictures(facts: StudyFacts) -> Iterator[Picture]:
    """The figures that the facts allow."""
    if facts.chart:
        yield Picture(
            name="map",
            caption="Class consistency of neighbours (0 is chance, 1 the ceiling) per stage and "
            "scale; blank where the stage's map has no such scale. Headroom: the same minus that "
            "of the last layer. A claim about learning needs the trained map to differ from its "
            f"controls.{BEST * (facts.attended is not None)}",
            figure=draw_map(map_facts(facts.chart, facts.attended)),
        )
    if facts.comparison:
        yield from _comparison_pictures(facts.comparison)
        yield from _course_pictures(facts, facts.comparison)


def _comparison_pictures(comparison: Comparison) -> Iterator[Picture]:
    yield Picture(
        name="frontier",
        caption=f"Every trained network on {count_seeds(len(comparison.seeds_b))} that measure; "
        f"{_selected(comparison)}. The best was selected, too, so that others can lie above it.",
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


def _selected(comparison: Comparison) -> str:
    if set(comparison.seeds_a) & set(comparison.seeds_b):
        return "the frontier was selected on the same one, by validation accuracy"
    return "the frontier was selected on other seeds"


def _course_pictures(facts: StudyFacts, comparison: Comparison) -> Iterator[Picture]:
    if facts.replays:
        yield Picture(
            name="replay",
            caption=f"{facts.replays[0].runs} simulated searches each, on the stored results: "
            "median and quartiles; wrong priors are in the table only. The best so far is chosen "
            "by validation accuracy: its regret can rise.",
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


def side_files(part: Part) -> Iterator[tuple[str, bytes]]:
    """Figures, tables and facts as files: (name, content)."""
    facts = part.facts
    for picture in part.pictures:
        yield f"{picture.name}.svg", picture.svg
        yield f"{picture.name}.png", picture.png()
    yield "facts.json", facts.to_json().encode()
    if facts.comparison:
        yield "ranking.csv", to_csv([flat(j) for j in facts.comparison.to_dict()["judged"]])
    if facts.chart:
        rows = facts.to_dict()["map"]["readings"]
        yield "map.csv", to_csv([{k: v for k, v in r.items() if k != "matrix"} for r in rows])


def _inline(picture: Picture) -> Markup:
    svg = picture.svg.decode()
    return Markup(svg[svg.index("<svg") :])
