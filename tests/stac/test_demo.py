"""The demo, made small: it searches, looks, judges, and reports on what ships beside it."""

from dataclasses import replace
from pathlib import Path

import pytest
from planted import graded_accuracy, picks_json, planted_store, small_study

import search.store.shipped as shipped
import search.study.studies as studies
from search.study.networks import networks
from stac.cli.analysis import demo
from stac.cli.commands import Demo

pytestmark = pytest.mark.slow  # a search on Ray
DEMO = studies.demo()


def small_demo() -> studies.Study:
    """Its first two scales, an epoch, few images."""
    data = replace(DEMO.protocol.data, train=200, val=200, test=100)
    return replace(
        DEMO,
        space=replace(DEMO.space, scales=(("off",), ("off", 2), ("off",)), kinds=("stac",)),
        protocol=replace(DEMO.protocol, data=data, epochs=1),
        seeds=(0, 1),
    )


def test_the_demo_ends_in_a_report_on_its_own_study_and_on_those_that_ship(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STACNET_CPUS", "1")  # each slot is a process that loads torch
    monkeypatch.setattr(studies, "demo", small_demo)
    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "shipped")
    study = small_study()
    among = networks(study.space)
    store = planted_store(str(tmp_path / "shipped" / "planted"), study)
    text = picks_json(study, among, primary=graded_accuracy(among))
    store.storage.write("picks.json", text.encode())
    demo(Demo(out=str(tmp_path / "out")))
    told = capfd.readouterr().out
    for part in ("CRS", "stage 2", "Rule R2+R5, fixed before the search, picks", "report.html"):
        assert part in told, told
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.index("<h2>Study demo</h2>") < page.index("<h2>Study planted</h2>")
