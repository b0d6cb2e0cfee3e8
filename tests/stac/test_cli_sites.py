"""`stac sites`: the table, its numbers, and one line for what cannot be."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from stac.cli.main import main
from stacnet.attention_spec import AttentionSpec
from stacnet.cost import cost
from stacnet.spec import resnet

Stac = Callable[[str], tuple[int, str, str]]


@pytest.fixture
def stac(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch) -> Stac:
    """Run `stac sites` in an empty folder: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def call(text: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["sites", *text.split()])
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return call


def test_the_table_names_each_site_and_what_a_gate_costs_there(stac: Stac) -> None:
    code, out, err = stac("torchvision:resnet18 --input-size 32")
    assert (code, err) == (0, "")
    rows = [line.split() for line in out.splitlines()]
    assert rows[0] == "name stage channels side gate params gate macs".split()
    assert [row[:4] for row in rows[1:7:2]] == [
        ["layer1.0.bn2", "0", "64", "8"],
        ["layer2.0.bn2", "1", "128", "4"],
        ["layer3.0.bn2", "2", "256", "2"],
    ]
    assert rows[7][0] == "gate:"  # the last stage has a single pixel


def test_gates_of_one_of_ours_cost_what_its_network_costs_more(stac: Stac) -> None:
    rows = json.loads(stac("resnet8 --input-size 16 --in-channels 1 --json")[1])
    assert [row["name"] for row in rows] == [f"stages.{stage}.0.bn2" for stage in range(3)]
    base = {"input_size": 16, "in_channels": 1}
    more, plain = (
        cost(resnet(8, attention=spec, **base)) for spec in (AttentionSpec(scale=4), None)
    )
    assert sum(row["gate_params"] for row in rows) == more.params - plain.params
    assert sum(row["gate_macs"] for row in rows) == more.macs - plain.macs


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("resnet19", "depth must be one of"),
        ("nothing", "network must be SOURCE:NAME"),
        ("torchvision:resnt18", "network must be one of torchvision's classifiers (resnet18"),
        ("torchvision:vit_b_16", "the network must take images of (3, 64, 64), got Wrong image"),
        ("resnet8 --input-size 0", "input_size must be a whole number of at least 1"),
        ("no.py:make", "network must be importable, got no.py:make"),
        ("", "NETWORK"),
    ],
)
def test_what_cannot_be_is_one_line(stac: Stac, words: str, message: str) -> None:
    code, out, err = stac(words)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert err.startswith("stac: ")
    assert message in err
