"""The report of planted studies: what its figures and sentences say, and that it needs nothing."""

import re
from collections import defaultdict
from dataclasses import replace
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from planted import planted_store, small_study

from analysis.judge.compare import compare
from analysis.predict.predict import predict
from analysis.predict.rules import MEANING, RULES
from analysis.report.about import data_sentence
from analysis.report.checklist import checklist
from analysis.report.facts import StudyFacts, gather
from analysis.report.figures import to_bytes
from analysis.report.figures_map import map_facts
from analysis.report.figures_study import cost_facts, frontier_facts, ranking_facts
from analysis.report.replay_table import replay_rows
from analysis.report.report import Part, render, report
from analysis.report.sentences import answer
from analysis.report.tables import table_rows
from search.store.store import Store
from stacnet.data_spec import Digits

pytestmark = pytest.mark.slow  # a map, replays and figures


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    store = planted_store(str(tmp_path_factory.mktemp("report")), small_study(seeds=(0, 1, 2, 3)))
    predict(store, images=160)
    return store


@pytest.fixture(scope="module")
def facts(store) -> StudyFacts:
    return gather(store)


@pytest.fixture(scope="module")
def page(store, tmp_path_factory) -> str:
    out = tmp_path_factory.mktemp("page") / "report.html"
    assert report([store.address], out) == str(out)
    return out.read_text()


class Links(HTMLParser):
    """Collects what a page would load, and the tags that it leaves open."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.loaded += [v for k, v in attrs if k in ("src", "href", "xlink:href") and v[0] != "#"]
        if tag not in ("meta", "br", "link", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.loaded += [v for k, v in attrs if k in ("src", "href", "xlink:href") and v[0] != "#"]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_every_rule_has_a_sentence():
    assert tuple(MEANING) == RULES


def test_the_page_loads_nothing_and_closes_every_tag(page):
    links = Links()
    links.feed(page)
    assert all(link.startswith("data:") for link in links.loaded)
    assert links.open == []
    assert "url(http" not in page
    assert "@import" not in page


def test_ids_of_inline_pictures_do_not_collide(page):
    """What a picture refers to is in it, and is the same wherever the page has that id again."""
    pictures = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    used, meaning = set(), defaultdict(set)
    for svg in pictures:
        own = set(re.findall(r"url\(#([^)]+)\)", svg)) | set(re.findall(r'href="#([^"]+)"', svg))
        assert own <= set(re.findall(r'id="([^"]+)"', svg))
        used |= own
        for element in ElementTree.fromstring(svg).iter():
            text = ElementTree.tostring(element, encoding="unicode")
            meaning[element.get("id")].add(" ".join(text.split()))
    assert len(pictures) > 4
    assert [name for name in used if len(meaning[name]) != 1] == []


def test_the_page_answers_with_the_numbers_of_the_comparison(page, facts):
    comparison = facts.comparison
    assert comparison is not None
    assert f"{100 * comparison.best.accuracy.value:.1f} %" in page
    assert "reconstructions of Hryniowski" in page
    for one in comparison.judged:
        assert re.search(rf"<td[^>]*>{re.escape(one.name)}</td>", page)
    for check in checklist(facts):
        assert escape(check.item).replace("&#x27;", "&#39;") in page
    assert facts.provenance.study_id in page


def test_figures_and_tables_are_written_as_files(store, page):
    folder = Path(store.address) / "report"
    names = {path.name for path in folder.iterdir()}
    figures = {"map", "frontier", "ranking", "replay", "curves", "costs"}
    assert names == {f"{name}.{kind}" for name in figures for kind in ("svg", "png")} | {
        "facts.json",
        "ranking.csv",
        "map.csv",
    }
    header, first = (folder / "ranking.csv").read_text().splitlines()[:2]
    assert header.startswith("name,family,seen,network_label")
    assert first.startswith("R2+R5,rule")


def test_the_page_tells_what_the_picks_would_have_saved_a_search(page, facts):
    assert facts.replays[2].name == "random with prior R2+R5"
    for row in replay_rows(facts.replays):
        assert all(f">{text}</td>" in page for text in row)


def test_two_studies_share_one_page_with_one_introduction(facts):
    other = replace(facts, study=replace(facts.study, name="second"))
    page = render([Part.of(facts), Part.of(other)], title="Both")
    assert page.count("reconstructions of Hryniowski") == 1
    assert "Study planted" in page
    assert "Study second" in page


def test_a_study_without_anything_gets_a_page_that_says_so(tmp_path):
    store = Store(str(tmp_path))
    store.begin(small_study())
    out = report([store.address])
    page = Path(out).read_text()
    assert out == f"{store.address}/report.html"
    assert "There is no map yet" in page
    assert "There are no picks yet" in page
    assert "There is nothing to compare yet." in page


def test_a_partial_study_is_reported_and_counts_its_trainings(tmp_path, store):
    partial = planted_store(str(tmp_path), small_study(seeds=(0, 1, 2, 3)), share=0.3)
    partial.storage.write("picks.json", store.storage.read("picks.json"))
    page = Path(report([partial.address])).read_text()
    assert "The search is not finished: 43 of 144 trainings." in page
    assert "There is no map yet" in page


def test_the_map_figure_shows_every_control_and_permuted_layout(facts):
    shown = map_facts(facts.chart)
    assert [panel.title for panel in shown.panels] == [
        "trained vanilla network",
        "headroom (over its last layer)",
        "control: permuted layout",
        "control: untrained",
        "control: pixels",
        "control: permuted labels",
    ]
    assert shown.places == ("stage 1", "stage 2", "stage 3")
    assert shown.scales == (1, 2, 4, 8, 16)
    assert len(shown.panels[0].cells) == 5 + 4 + 3


def test_a_scale_that_was_not_read_with_permuted_cells_is_left_out_of_that_panel(facts):
    readings = tuple(replace(r, lay=float("nan")) if r.native else r for r in facts.chart.readings)
    shown = map_facts(replace(facts.chart, readings=readings))
    assert [len(panel.cells) for panel in shown.panels[:3]] == [12, 12, 9]


def test_the_frontier_figure_marks_vanilla_se_pick_and_best(facts):
    shown = frontier_facts(facts.comparison)
    assert shown.marked.keys() == {"best of the search", "pick", "vanilla", "SE everywhere"}
    assert shown.marked["vanilla"].cost == 0
    assert len(shown.cloud) == 36


def test_the_ranking_figure_orders_by_regret(facts):
    shown = ranking_facts(facts.comparison)
    regrets = [bar.regret.value for bar in shown.bars]
    assert regrets == sorted(regrets)
    assert len(shown.bars) == len(facts.comparison.judged)


def test_the_cost_figure_holds_both_sides(facts):
    shown = cost_facts(facts.comparison)
    assert shown.seconds["search, 144 trainings"] == pytest.approx(1440)
    assert shown.seconds["vanilla trainings of the map"] == pytest.approx(20)  # seeds A
    assert list(shown.seconds.values()) == sorted(shown.seconds.values(), reverse=True)


def test_figures_are_the_same_bytes_each_time(facts):
    one, other = (
        [to_bytes(picture.figure, kind="svg") for picture in Part.of(facts).pictures]
        for _ in range(2)
    )
    assert len(one) > 4
    assert one == other


def test_the_answer_names_who_else_picks_the_same_network(facts):
    comparison = facts.comparison
    pick = comparison.primary.network
    twin = next(j for j in comparison.judged if j.family == "control")
    same = replace(twin, name="a control", network=pick)
    changed = replace(comparison, judged=(comparison.primary, same))
    assert "The same network is picked by a control" in answer(changed)[1]
    alone = replace(comparison, judged=(comparison.primary,))
    assert answer(alone)[1].startswith("Over vanilla it gains")


def test_the_table_has_the_primary_first_and_a_dash_for_what_is_missing(facts):
    main, rest = table_rows(facts.comparison)
    rows = main + rest
    assert len(main) <= 10
    assert len(rows) == len(facts.comparison.judged)
    assert [row.is_primary for row in rows] == [True] + [False] * (len(rows) - 1)
    assert "SE everywhere" in [row.values[0].text for row in main]
    texts = [value.text for row in rows for value in row.values]
    assert "\N{EN DASH}" in texts
    assert not any("nan" in text for text in texts)


def test_digits_are_said_to_be_too_small_to_rank_anything(facts):
    protocol = replace(facts.study.protocol, data=Digits())
    on_digits = replace(facts, study=replace(facts.study, protocol=protocol))
    assert "too small to rank anything" in data_sentence(on_digits)


def test_a_report_of_one_seed_does_not_speak_of_others(facts, store, tmp_path):
    one = planted_store(str(tmp_path), small_study(seeds=(0,)))
    one.storage.write("picks.json", store.storage.read("picks.json"))
    alone = replace(facts, comparison=compare(one), replays=(), curves=())
    page = render([Part.of(alone)])
    assert "selected on the same one" in page
    assert "selected on other seeds" not in page
    assert "with seed 0" in page
    assert "With one seed there is no noise ceiling." in page
    assert "dotted" not in page
    assert "dotted: perfect" in render([Part.of(facts)])
