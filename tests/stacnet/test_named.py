"""A network by its name, and what is said of a name that gives none."""

import pickle
import sys
from pathlib import Path

import pytest
from torch import nn

from stacnet.named import network_named

NETWORKS = """
from dataclasses import dataclass
from torch import nn
from my_parts import WIDTH

@dataclass
class Part:
    width: int = WIDTH

class Own(nn.Sequential):
    pass

def make(classes: int = 5) -> nn.Module:
    return Own(nn.Conv2d(3, Part().width, 3), nn.Linear(3, classes))

def number():
    return 3

def broken():
    raise KeyError("depth\\nof what")
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a file of networks, called like a module that is imported already."""
    (tmp_path / "pickle.py").write_text(NETWORKS)
    (tmp_path / "my_parts.py").write_text("WIDTH = 7")
    (tmp_path / "torn.py").write_text("def make(:")
    (tmp_path / "exits.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "my_parts", raising=False)
    return tmp_path


def test_a_name_gives_a_network_of_each_kind_of_source() -> None:
    small = network_named("torchvision:mobilenet_v3_small", num_classes=3)
    assert small.get_parameter("classifier.3.bias").shape == (3,)
    theirs = network_named("timm:resnet18", num_classes=2)
    assert theirs.get_parameter("fc.bias").shape == (2,)
    assert isinstance(
        network_named("torch.nn:Conv2d", in_channels=1, out_channels=1, kernel_size=1), nn.Conv2d
    )


def test_a_file_takes_no_other_modules_name_and_finds_its_neighbours(folder: Path) -> None:
    network = network_named("pickle.py:make", classes=2)
    assert isinstance(network, nn.Sequential)
    assert (network[0].out_channels, network[1].out_features) == (7, 2)
    assert sys.modules["pickle"] is pickle
    assert str(folder) not in sys.path
    assert type(pickle.loads(pickle.dumps(network))) is type(network) is not nn.Sequential
    again = network_named(f"{folder}/pickle.py:make")
    assert again.get_parameter("1.bias").shape == (5,)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "resnet18",
            "network must be SOURCE:NAME, such as torchvision:resnet18, .*, got resnet18$",
        ),
        ("torchvision:", "network must be SOURCE:NAME, .* got torchvision:$"),
        ("torchvision:resnt18", r"one of torchvision's classifiers \(resnet18, .*\), got resnt18"),
        ("torchvision:list_models", r"one of torchvision's classifiers \(none like it\)"),
        ("timm:resnext5_32x4d", r"one of timm's networks \(resnext50_32x4d, .*\), got resnext5_"),
        ("no.py:make", "importable, got no.py:make: FileNotFoundError: there is no file no.py"),
        ("torn.py:make", "importable, got torn.py:make: SyntaxError: invalid syntax"),
        ("exits.py:make", "importable, got exits.py:make: SystemExit: 3"),
        ("no_such.part:make", "importable, got .* No module named 'no_such'"),
        ("pickle.py:mak", "must name a function, got pickle.py:mak: there is no mak$"),
        ("pickle.py:number", "pickle.py:number must return a torch module, got int"),
        ("pickle.py:broken", r"pickle.py:broken must return a torch module, got KeyError: 'depth"),
        ("os.path:join", "os.path:join must return a torch module, got TypeError: join"),
    ],
)
def test_a_name_that_gives_no_network_is_answered_in_one_line(
    folder: Path, name: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message) as told:
        network_named(name)
    assert "\n" not in str(told.value)


def test_timm_is_asked_for_where_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)  # as if it were not there
    with pytest.raises(ValueError, match=r"timm must be installed \(pip install timm\) for timm:x"):
        network_named("timm:x")
