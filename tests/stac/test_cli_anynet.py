"""`stac classrepsim --network`: any network on any images, from the command line."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.models import resnet18

from analysis.predict.mapfile import map_from_parquet
from stac.cli.commands import parse
from stac.cli.main import main

NETWORK = """
from torch import nn

def small() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3))

def none() -> nn.Module:
    return 3
"""
Stac = Callable[..., tuple[int, str, str]]


@pytest.fixture
def stac(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch) -> Stac:
    """Run `stac classrepsim` beside a file of networks: exit code, stdout, stderr."""
    (tmp_path / "nets.py").write_text(NETWORK)
    monkeypatch.chdir(tmp_path)

    def call(text: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["classrepsim", *text.split()])
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return call


def test_a_torchvision_network_is_looked_at_with_the_weights_of_a_file(
    stac: Stac, tmp_path: Path
) -> None:
    torch.manual_seed(3)
    torch.save({"model": resnet18(num_classes=7).state_dict(), "epoch": 3}, tmp_path / "w.pt")
    flags = "--network torchvision:resnet18 --data digits --images 40 --scales 2 --taps layer1"
    code, out, err = stac(f"{flags} --weights w.pt --size 16 --out map.parquet")
    assert code == 0
    assert "layer1" in out
    assert "40 images of 10 classes" in out
    assert "untrained" not in err
    chart = map_from_parquet((tmp_path / "map.parquet").read_bytes(), source="map.parquet")
    assert [reading.cells for reading in chart.stages()[0]] == [1, 2, 4]
    assert chart.stages(source="untrained")
    assert "the network is untrained: give --weights FILE" in stac(flags)[2]


def test_a_network_of_a_file_is_looked_at_on_a_folder_of_images(stac: Stac, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(120):
        path = tmp_path / "photos" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        bright = 120 * (number % 2)
        Image.fromarray(rng.integers(0, 100, (12, 12, 3), np.uint8) + np.uint8(bright)).save(path)
    flags = "--network nets.py:small --data photos --size 8 --json"
    code, out, _ = stac(f"{flags} --out map.svg")
    facts = json.loads(out)
    assert (code, facts["classes"], facts["num_queries"]) == (0, 2, 12)
    assert {r["place"] for r in facts["readings"] if r["source"] == "untrained"} == {"0", "1", "2"}
    assert (tmp_path / "map.svg").read_text().startswith("<?xml")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("", "must be given a study's DIR or a --network, got DIR=None network=None"),
        ("x --network nets.py:small", "must be given a study's DIR or a --network, got DIR=x"),
        ("x --taps a", "--taps has no effect on a study's own network; leave it out"),
        ("--network nets.py:small", "--network must come with --data and without --train"),
        ("--network nets.py:none --data digits", "must return a Module, got int"),
        ("--network no.py:none --data digits", "module file must exist, got no.py"),
        ("--network torchvision:resnt18 --data digits", r"classifiers \(resnet18, .*got torchv"),
        ("--network nets.py:small --data digits --scales a", "--scales takes whole numbers from 1"),
        ("--network nets.py:small --data digits --taps a", "got 'a'; such are 0, 1, 2"),
        ("--network nets.py:small --data digits --device abacus", "device must be one that torch"),
        ("--network nets.py:small --data nowhere", "nowhere"),
        ("--network nets.py:small --data .", "must hold ImageNet"),
        ("--network nets.py:small --data digits --weights nets.py", "must be a state dict"),
        ("--network nets.py:small --data digits --weights text", "text: must be a state dict"),
        (
            "--network nets.py:small --data digits --weights torn.pt",
            "torn.pt: must be a state",
        ),
        ("--network nets.py:small --data digits --size 0", "size must be in 1..2048 pixels, got 0"),
        ("--network nets.py:small --data digits --out no/m.svg", "a folder that is there, got no"),
        ("--network nets.py:small --data digits --weights w.pt", "must be weights of nets.py:sm"),
        ("--network nets.py:small --data digits --images 40 --out m.txt", "must end in .parquet"),
    ],
)
def test_what_does_not_fit_is_one_line(
    stac: Stac, tmp_path: Path, flags: str, message: str
) -> None:
    torch.save({"weight": torch.zeros(3)}, tmp_path / "w.pt")
    (tmp_path / "torn.pt").write_bytes((tmp_path / "w.pt").read_bytes()[:-300])
    (tmp_path / "text").write_text("abc")
    code, out, err = stac(flags)
    assert code == 2
    (line,) = (line for line in err.splitlines() if line.startswith("stac: "))
    assert re.search(message, line), line
    assert not out


def test_the_published_form_still_parses() -> None:
    command = parse("classrepsim out/digits --train --images 200".split())
    assert (command.folder, command.network) == ("out/digits", None)  # type: ignore[union-attr]
