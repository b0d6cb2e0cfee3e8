"""The house's rules that a machine can check."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from readme_map import in_readme

ROOT = Path(__file__).parents[2]
# More than five: each a part of what the value is, none of which has a home with another.
WIDE = {
    "stacnet/train.py:__init__",
    "analysis/look/controls.py:map_with_controls",
    "stac/anynet.py:classrepsim",
}
SOURCES = sorted(
    path
    for part in ("stacnet", "search", "analysis", "stac", "examples", "benchmarks")
    for path in (ROOT / part).rglob("*.py")
)
INDEX = b"index" + b"-url"  # in two parts: no file may name an index, this one neither
TESTS = sorted((ROOT / "tests").rglob("*.py"))


def _functions(tree: ast.Module) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


@pytest.mark.parametrize("path", [*SOURCES, *TESTS], ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_has_at_most_250_lines_and_a_caption(path: Path) -> None:
    text = path.read_text()
    caption = ast.get_docstring(ast.parse(text))
    assert caption, f"{path.name} has no docstring"
    assert len(text.splitlines()) <= 250


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_function_fits_a_screen_and_has_few_arguments(path: Path) -> None:
    for function in _functions(ast.parse(path.read_text())):
        lines = (function.end_lineno or 0) - function.lineno + 1
        docstring = ast.get_docstring(function, clean=False) or ""
        assert lines - len(docstring.splitlines()) <= 40, f"{function.name} is {lines} lines long"
        named = [a.arg for a in (*function.args.args, *function.args.kwonlyargs)]
        most = 6 if f"{path.relative_to(ROOT)}:{function.name}" in WIDE else 5
        few = [a for a in named if a not in ("self", "cls")]
        assert len(few) <= most, f"{function.name}: {named}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_source_defers_annotations(path: Path) -> None:
    assert "from __future__ import annotations" not in path.read_text()


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("stacnet.train", {"ray", "optuna", "tyro", "rich", "pydantic", "scipy", "matplotlib"}),
        ("stacnet.spec", {"torch", "numpy"}),
        ("stac.cli.commands", {"torch", "ray", "matplotlib", "numpy", "pyarrow", "optuna"}),
        ("stac.cli.studies", {"torch", "ray", "pyarrow", "optuna", "pydantic", "sklearn"}),
        ("search.study.networks", {"torch", "ray", "pyarrow", "optuna"}),
        ("search.store.store", {"torch", "ray", "optuna", "matplotlib"}),
        ("analysis.judge.compare", {"torch", "ray", "optuna", "matplotlib"}),
        ("analysis.look.classrepsim", {"ray", "optuna"}),
    ],
)
def test_importing_a_module_leaves_heavy_packages_alone(module: str, unwanted: set[str]) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    out = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not unwanted & set(out.stdout.split())


def test_the_readme_maps_every_file_by_its_caption() -> None:
    assert in_readme() in (ROOT / "README.md").read_text(), "run: python tests/readme_map.py"


def test_no_tracked_file_names_an_index_or_a_machine() -> None:
    listing = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listing.returncode:
        pytest.skip("not a git checkout")
    for name in listing.stdout.split():
        assert INDEX not in (ROOT / name).read_bytes(), name
        assert not name.endswith(("uv.lock", "poetry.lock"))


def test_tests_lie_in_the_room_whose_promises_they_hold() -> None:
    rooms = {path.name for part in ("search", "analysis") for path in (ROOT / part).iterdir()}
    folders = {path.parent.name for path in (ROOT / "tests").rglob("test_*.py")}
    assert folders <= rooms | {"stacnet", "stac", "project"}


def test_every_test_that_holds_a_promise_exists() -> None:
    """The table has `test_file: the sentence of a test; that of another`, dots where it is cut."""
    table = (ROOT / "docs" / "reliability.md").read_text().partition("## Faults injected")[0]
    rows = [line.split("|")[3] for line in table.splitlines() if line.startswith("| ")]
    file = Path()
    for named in "; ".join(rows[1:]).split("; "):
        first, _, rest = named.strip().partition(":")
        if first.startswith("test_"):
            (file,), named = (ROOT / "tests").glob(f"*/{first}.py"), rest
        sentence = "_".join(re.sub(r"\(.*\)|\.\.\.", "", named).split())
        assert sentence in file.read_text(), f"{file.name} has no test {sentence}"
