"""The fenced blocks of README and docs, and how each kind of them is run."""

import io
import json
import os
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import NamedTuple

import duckdb
import pytest

from stac.cli.main import main

ROOT = Path(__file__).parents[1]
PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")),
)
# Blocks of these languages are shown and not run: listings.
SHOWN = ("", "text")
# What cannot run here, by page, with the reason. A command is named by its beginning.
ELSEWHERE = {
    "README.md": {
        "make demo": "takes minutes; test_demo runs a smaller one",
        "make test": "is this suite",
        "ray ": "test_cluster runs Ray's commands on hosts of its own",
        "stac cluster": "test_cluster runs them on hosts of its own",
        ". .venv/bin/activate": "the suite's environment is the active one",
        "stac classrepsim --network": "FILE and FOLDER are the reader's; see test_cli_anynet",
    },
    "docs/cluster.md": {"": "test_cluster runs it on hosts of its own; AWS needs an account"},
    "docs/other-clusters.md": {"": "needs a Slurm, a Kubernetes, a cloud; see test_jobs"},
    "docs/own_data.md": {"examples/glyph_fonts.sh": "installs packages; any fonts do for a test"},
    "docs/own_study.md": dict.fromkeys(
        (
            "stac data prepare",
            "stac search imagenet64",
            "stac classrepsim out/imagenet64",
            "stac finalists out/imagenet64",
            "stac compare out/imagenet64",
        ),
        "needs the official files and many GPU-hours; test_paper_studies runs it cut down",
    ),
    "docs/publish.md": {"stac finalists": "many trainings; test_engine runs the finalists"},
}
# What runs here in a smaller form: words added to a command, or text replaced in the README.
ONE = """--override 'space.scales=[["off"],["off"],["off"]]' protocol.epochs=1"""
SMALLER = {
    "stac search digits --out out/digits ": ONE,
    "stac search digits-tpe --out out/tpe --budget-s": (
        "--override strategy.trials=1 protocol.epochs=1"
    ),
    "stac search digits-tpe --out out/prior ": f"{ONE} strategy.trials=1",
    "stac search digits-tpe --out out/tpe  ": f"{ONE} strategy.trials=1 --reuse-from out/digits",
}
SMALLER_PYTHON = {'("off", 1, 2)': '("off",)', "epochs=3": "epochs=1"}


class Block(NamedTuple):
    """A fenced block: where it begins, its language, the file it is (or ""), and its text."""

    page: str
    line: int
    language: str
    title: str
    text: str


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page, in order, without their indentation."""
    text = (ROOT / page).read_text()
    fence = re.compile(r'^( *)```(\w*)(?: title="([^"\n]*)")?\n(.*?)^\1```$', flags=re.M | re.S)
    found = [
        Block(page, text.count("\n", 0, match.start()) + 1, match[2], match[3] or "", match[4])
        for match in fence.finditer(text)
    ]
    assert 2 * len(found) == len(re.findall(r"^ *```", text, flags=re.M)), f"a fence in {page}"
    return [block._replace(text=textwrap.dedent(block.text)) for block in found]


def commands(block: Block) -> Iterator[str]:
    """The commands of a shell block; one whose quotes span lines is one."""
    pending = ""
    for line in block.text.splitlines():
        pending += line
        try:
            words = shlex.split(pending, comments=True)
        except ValueError:  # a quote is still open
            pending += "\n"
            continue
        if words:
            yield pending.strip()
        pending = ""
    assert not pending, f"an open quote in {block.page}:{block.line}"


def elsewhere(page: str, command: str) -> str | None:
    """Why a command of a page does not run here; None if it does."""
    reasons = ELSEWHERE.get(page, {})
    return next((reasons[start] for start in reasons if command.startswith(start)), None)


def play(page: str, names: dict[str, object], *, as_written: bool = False) -> str:
    """Run every block of a page in the present folder, in order; what was printed."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        for block in blocks(page):
            _play(block, names, as_written=as_written)
    return printed.getvalue()


def _play(block: Block, names: dict[str, object], *, as_written: bool) -> None:
    match block.language:
        case "python" if block.title:
            Path(block.title).write_text(block.text)
        case "python" if elsewhere(block.page, block.text) is None:
            code = block.text if as_written else _smaller(block)
            where = f"{block.page}, line {block.line}"
            exec(compile(code, where, "exec"), names)
        case "json":
            json.loads(block.text)
        case "sh":
            for command in commands(block):
                if elsewhere(block.page, command) is None:
                    _command(command, as_written=as_written)
        case language:
            assert language in (*SHOWN, "python"), f"no way to run {language}: {block}"


def _smaller(block: Block) -> str:
    if block.page != "README.md":
        return block.text
    code = block.text
    for written, tried in SMALLER_PYTHON.items():
        code = code.replace(written, tried)
    return code


def _command(command: str, *, as_written: bool) -> None:
    words = shlex.split(command, comments=True)
    match words[0]:
        case "stac":
            if not as_written:
                more = [text for start, text in SMALLER.items() if command.startswith(start)]
                words += shlex.split(" ".join(more))
            with pytest.raises(SystemExit) as ended:
                main(words[1:])
            assert not ended.value.code, f"exit code {ended.value.code}: {words}"
        case "duckdb":
            print(duckdb.sql(words[words.index("-c") + 1]).fetchall())
        case _:
            path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
            subprocess.run(["bash", "-ec", command], check=True, env=os.environ | {"PATH": path})
