"""What the documents show is run as it is written: README, each page of docs, each example."""

import ast
import os
import re
import runpy
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from documents import ELSEWHERE, PAGES, ROOT, SHOWN, SMALLER, SMALLER_PYTHON, blocks, commands, play
from font_files import fonts
from nbclient import NotebookClient
from official_data import write_cifar10
from PIL import Image
from sklearn.datasets import load_digits

from search.drive.ray_session import ray_session

pytestmark = pytest.mark.timeout(600)  # the first one starts Ray and plays the tutorial, too
TUTORIAL = "docs/python.md"
PLAYED = [
    page
    for page in PAGES
    if page != TUTORIAL
    and "" not in ELSEWHERE.get(page, {})  # all of it runs elsewhere
    and any(block.language not in SHOWN for block in blocks(page))
]
# What a page prints, among other things, when its blocks are run.
SAID = {
    "README.md": (
        r"<Network .*, 1 seed> 1\n",
        r"finished: 1 attempts",
        r"report\.html",
        r"\[\(None, ",
    ),
    "docs/networks.md": (
        r"\['layer3.0.bn2', .*'layer4.1.bn2'\] torch.Size\(\[2, 10\]\)",
        r"12 placements",
        r"layer1.0.bn2 +0 +64 +16 +4,676 +73,728",
        r'"name": "stages.2.2.bn2", "stage": 2, "channels": 64, "side": 8',
    ),
    "docs/own_data.md": (
        r"240 training and 60 test images",
        r"fonts: 6 typefaces in 6 font files",
        r"8 networks",
    ),
    "docs/own_study.md": (
        r"preflight: .* fit",
        r"nothing was owed; .* out/other",
        r"<Network ",
        r"trainings +1,204 of the search",
    ),
    "docs/publish.md": (
        r"8 networks; the best: \(",
        r"tables/cells\.csv",
        r"report\.html",
        r"blackbox: 8 configurations",
    ),
    "docs/resume.md": (r"finished: 2 attempts", r"owes nothing"),
    "docs/spaces.md": (r"256 points", r"params"),
    "docs/statistics.md": (r"Interval\(value=0\.00125", r"seeds to see 0\.3 points"),
}
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
NOTEBOOK = ROOT / "examples" / "first_look.ipynb"


@pytest.fixture(scope="module")
def one_ray() -> Iterator[None]:
    """One Ray for all searches of the documents, which each would start otherwise."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STACNET_CPUS", "1")  # each slot is a process that loads torch
        with ray_session(None):
            yield


@pytest.fixture(scope="module")
def tutorial(one_ray: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder in which the tutorial was played, with its store, and what it printed."""
    folder = tmp_path_factory.mktemp("tutorial")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        said = play(TUTORIAL, {})
    return folder, said


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, from which Python files can be imported, with its own data."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("STACNET_DATA", str(tmp_path / "prepared"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delitem(sys.modules, "my_study", raising=False)
    return tmp_path


def lay_out(folder: Path) -> None:
    """What a reader brings: photographs, the official files of CIFAR-10, and fonts."""
    digits = load_digits()
    for number, (image, label) in enumerate(zip(digits.images[:300], digits.target, strict=False)):
        target = folder / "photos" / f"digit-{label}"
        target.mkdir(parents=True, exist_ok=True)
        Image.fromarray((image * 15).astype("uint8")).save(target / f"{number}.png")
    (folder / "cifar-10-batches-py").mkdir()
    write_cifar10(folder / "cifar-10-batches-py")
    fonts(folder / "fonts")


def test_the_tutorial_leads_from_nothing_to_a_verdict(tutorial: tuple[Path, str]) -> None:
    folder, said = tutorial
    assert "8 of 8 trainings complete" in said
    assert "no verdict: one seed cannot show how much accuracy varies" in said
    for name in ("map.png", "frontier.png", "mine/report.html", "mine/map.parquet"):
        assert (folder / "out" / name).stat().st_size > 1000, name


@pytest.mark.parametrize("page", PLAYED)
def test_every_block_of_a_page_runs_in_order(
    page: str, tutorial: tuple[Path, str], desk: Path
) -> None:
    if page == "docs/own_data.md":
        lay_out(desk)
    if page == "docs/publish.md":
        shutil.copytree(tutorial[0] / "out" / "mine", desk / "out" / "mine")
    said = play(page, {})
    for pattern in SAID[page]:
        assert re.search(pattern, said), f"{pattern} is not in {said}"


def test_the_readmes_python_has_five_statements() -> None:
    assert len(ast.parse(blocks("README.md")[1].text).body) == 5


@pytest.mark.long
def test_the_readmes_five_statements_run_as_they_are_written(
    one_ray: None, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exec(compile(blocks("README.md")[1].text, "README.md", "exec"), {})
    assert re.fullmatch(r"<Network .*, 1 seed> 27\n", capsys.readouterr().out)
    assert (desk / "out" / "mine" / "report.html").exists()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_runs_in_an_empty_folder(
    example: Path,
    tutorial: tuple[Path, str],
    desk: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = [str(tutorial[0] / "out" / "mine")] if "FOLDER" in example.read_text() else []
    monkeypatch.setattr(sys, "argv", [str(example), *folder])
    runpy.run_path(str(example), run_name="__main__")
    assert capsys.readouterr().out


def test_the_notebook_runs_in_an_empty_folder_and_shows_what_it_did(
    desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{os.environ.get('PYTHONPATH', '')}")
    kept = nbformat.read(NOTEBOOK, as_version=4)
    again = nbformat.from_dict(kept)
    NotebookClient(again, timeout=200, resources={"metadata": {"path": str(desk)}}).execute()
    shown, anew = ([_shown(cell) for cell in book.cells] for book in (kept, again))
    assert shown == anew
    assert any("image/png" in kinds for kinds in shown)
    assert NOTEBOOK.stat().st_size < 300_000


def _shown(cell: nbformat.NotebookNode) -> list[str]:
    """The kinds of output of a notebook's block: text that was printed, or a picture."""
    kinds = [output.get("data", {output.output_type: ""}) for output in cell.get("outputs", [])]
    return sorted({kind for output in kinds for kind in output})


def test_what_is_not_run_or_made_smaller_is_still_in_the_documents() -> None:
    written = {
        page: [c for block in blocks(page) if block.language == "sh" for c in commands(block)]
        for page in PAGES
    }
    for page, reasons in ELSEWHERE.items():
        for start in reasons:
            assert any(c.startswith(start) for c in written[page]), f"{start} is not in {page}"
    for start in SMALLER:
        found = [c for lines in written.values() for c in lines if c.startswith(start)]
        assert found, f"{start} is nowhere"
    for text in SMALLER_PYTHON:
        assert text in blocks("README.md")[1].text
