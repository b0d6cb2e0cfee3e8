"""The command line: what exists, what a mistake gets, what costs nothing."""

import json
from collections.abc import Callable
from typing import NamedTuple

import pytest

from search.cli.commands import parse
from search.cli.main import main


class Ended(NamedTuple):
    """What a command left: exit code and what it printed."""

    returncode: int
    stdout: str
    stderr: str


Stac = Callable[..., Ended]


@pytest.fixture
def stac(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Stac:
    """Run the command in this process, 80 columns wide."""
    monkeypatch.setenv("COLUMNS", "80")

    def call(*words: str) -> Ended:
        with pytest.raises(SystemExit) as ended:
            main(list(words))
        printed = capsys.readouterr()
        return Ended(int(ended.value.code or 0), printed.out, printed.err)

    return call


def test_cost_of_the_papers_setting_is_printed_as_json(stac: Stac) -> None:
    out = stac(*"cost --depth 50 --stem s1 --input-size 64 --scale 2 --kernel 3 --json".split())
    facts = json.loads(out.stdout)
    assert round(facts["params_ratio"], 2) == 1.89
    assert round(100 * (facts["macs_ratio"] - 1), 2) == 1.74


def test_cost_of_the_vanilla_resnet_50_is_the_known_one(stac: Stac) -> None:
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
def test_a_mistake_is_one_line_with_rule_and_value(stac: Stac, words: str, message: str) -> None:
    out = stac(*words.split())
    assert out.returncode == 2
    assert message in out.stderr
    assert len(out.stderr.strip().splitlines()) == 1
    assert not out.stdout


def test_every_command_explains_itself_within_80_columns(stac: Stac) -> None:
    listing = stac("--help").stdout
    assert all(len(line) <= 80 for line in listing.splitlines()[1:])


def test_overrides_may_be_grouped_or_repeated() -> None:
    words = "search digits --out x --override a=1 b=2 --override c=3".split()
    assert parse(words).override == (("a=1", "b=2"), ("c=3",))  # type: ignore[union-attr]
