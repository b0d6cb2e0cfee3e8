"""The command line: what exists, what a mistake gets, what costs nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from search.cli.commands import parse

STAC = [sys.executable, "-c", "from search.cli.main import main; main()"]


def stac(*words: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the real command in an 80 column terminal's environment."""
    environment = os.environ | {"COLUMNS": "80"}
    return subprocess.run(
        [*STAC, *words], capture_output=True, text=True, env=environment, cwd=folder, timeout=120
    )


def test_cost_of_the_papers_setting_is_printed_as_json() -> None:
    out = stac(*"cost --depth 50 --stem s1 --input-size 64 --scale 2 --kernel 3 --json".split())
    facts = json.loads(out.stdout)
    assert round(facts["params_ratio"], 2) == 1.89
    assert round(100 * (facts["macs_ratio"] - 1), 2) == 1.74


def test_cost_of_the_vanilla_resnet_50_is_the_known_one() -> None:
    out = stac(*"cost --depth 50 --stem imagenet --input-size 224 --json".split())
    facts = json.loads(out.stdout)
    assert (facts["params"], round(facts["macs"] / 1e9, 3)) == (25_557_032, 4.089)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("cost --scale 128", "scale must not exceed the map of its stage, got scale=128"),
        ("cost --scale 1,2", "scales must have one entry per stage, got 2 entries for 4 stages"),
        ("cost --kernel 2 --scale 2", "kernel must be odd"),
        ("cost --kernel 3", "--kernel has no effect without attention"),
        ("cost --attention se --scale 2", "--scale has no effect with --attention se"),
        ("cost --depth 51", "depth must be one of"),
        ("cost --stem s5", "invalid choice 's5'"),
        ("cost --nonsense", "Unrecognized options: --nonsense"),
        ("nonsense", "Unrecognized options: nonsense"),
    ],
)
def test_a_mistake_is_one_line_with_rule_and_value(words: str, message: str) -> None:
    out = stac(*words.split())
    assert out.returncode == 2
    assert message in out.stderr
    assert len(out.stderr.strip().splitlines()) == 1
    assert not out.stdout


def test_every_command_explains_itself_within_80_columns() -> None:
    listing = stac("--help").stdout
    assert all(len(line) <= 80 for line in listing.splitlines()[1:])


def test_overrides_may_be_grouped_or_repeated() -> None:
    words = "search digits --out x --override a=1 b=2 --override c=3".split()
    assert parse(words).override == (("a=1", "b=2"), ("c=3",))  # type: ignore[union-attr]
