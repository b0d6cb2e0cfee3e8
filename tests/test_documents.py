"""What the documents show is run as it is written."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def blocks(document: str) -> list[str]:
    """The Python blocks of a document, in order."""
    return re.findall(r"```python\n(.*?)```", (ROOT / document).read_text(), flags=re.S)


def test_the_guide_from_nothing_to_a_verdict_runs_block_by_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in blocks("docs/python.md"):
        exec(compile(block, "docs/python.md", "exec"), names)
    said = capsys.readouterr().out
    assert "8 of 8 trainings complete" in said
    assert "no verdict: one seed cannot show how much accuracy varies" in said
    for name in ("map.png", "frontier.png", "mine/report.html", "mine/map.parquet"):
        assert (tmp_path / "out" / name).stat().st_size > 1000, name


@pytest.mark.parametrize(
    ("scales", "epochs", "rows"),
    [
        pytest.param("", 1, 1, id="vanilla alone"),
        pytest.param(" 1, 2", 3, 27, id="as written", marks=pytest.mark.long),
    ],
)
def test_the_readmes_first_lines_of_python_run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    scales: str,
    epochs: int,
    rows: int,
) -> None:
    code = blocks("README.md")[0]
    assert len(ast.parse(code).body) == 5
    for written, tried in (
        ('("off", 1, 2)', f'("off",{scales})'),
        ("epochs=3", f"epochs={epochs}"),
    ):
        assert written in code
        code = code.replace(written, tried)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})
    assert re.fullmatch(rf"<Network .*, 1 seed> {rows}\n", capsys.readouterr().out)
    assert (tmp_path / "out" / "mine" / "report.html").exists()


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.py")), ids=lambda p: p.name)
def test_an_example_runs_in_an_empty_folder(example: Path, tmp_path: Path) -> None:
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, example], cwd=tmp_path, env=environ, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout
