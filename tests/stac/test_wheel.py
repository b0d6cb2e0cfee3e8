"""The wheel outside of the checkout: built, installed into an empty environment, used there."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from search.store.rows import commit_of

ROOT = Path(__file__).parents[2]
EXAMPLE = """
import stac
study = stac.Study(name="mine", space=stac.Space(base=stac.resnet(8, width=8, input_size=8,
    classes=10), scales=("off", 1, 2)), protocol=stac.Protocol(data=stac.Digits(), epochs=3))
from search.study.networks import networks
print(len(networks(study.space)), stac.__file__)
"""
SEARCH = """
import stac
base = stac.resnet(8, width=4, input_size=8, classes=10)
study = stac.Study(name="one", space=stac.Space(base=base, scales=("off",)),
    protocol=stac.Protocol(data=stac.Digits(), epochs=1))
result = stac.search(study, out="one", progress=False)
print(result.frame().num_rows, result.frame()["status"][0])
"""
REPORT = """
import sys, stac
from search.store.store import Store
Store("mine").begin(__import__("search.study.studies").study.studies.load_study("digits"))
print(stac.report("mine"), Store("mine").code()["commit"])
"""
GIT = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]


class Place:
    """An environment with the wheel, in a folder of its own."""

    def __init__(self, folder: Path, python: Path) -> None:
        self.folder, self.python = folder, python

    def run(self, *words: str) -> str:
        """What a program of the environment prints, started in the folder."""
        hidden = ("PYTHONPATH", "VIRTUAL_ENV", "PYTHONHOME")
        environ = {name: value for name, value in os.environ.items() if name not in hidden}
        environ["STACNET_CPUS"] = "1"
        command = [str(self.python.parent / words[0]), *words[1:]]
        done = subprocess.run(
            command, cwd=self.folder, env=environ, capture_output=True, text=True, timeout=200
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The wheel by pip; what it depends on is borrowed from here, and nothing is downloaded."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"  # without what lies about in the checkout
    skip = shutil.ignore_patterns("__pycache__")
    for name in ("stacnet", "search", "analysis", "stac"):
        shutil.copytree(ROOT / name, source / name, ignore=skip)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    built = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(built, cwd=source, check=True, capture_output=True)
    shutil.rmtree(source)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", folder / "env"], check=True)
    python = folder / "env" / "bin" / "python"
    pip = [python, "-m", "pip", "install", "-q", "--no-index", "--no-deps", wheel]
    subprocess.run(pip, check=True, capture_output=True)
    (site,) = (folder / "env").glob("lib/python*/site-packages")
    (site / "borrowed.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return Place(folder, python)


def test_the_installed_command_and_the_five_lines_run_from_the_wheel_alone(place: Place) -> None:
    assert place.run("stac", "--help").startswith("usage: stac")
    assert place.run("stac", "--version") == "stac 0.1.0 (commit unknown)\n"
    networks, where = place.run("python", "-c", EXAMPLE).split()
    assert networks == "27"
    assert Path(where).is_relative_to(place.folder / "env")


def test_workers_find_the_installed_packages(place: Place) -> None:
    assert place.run("python", "-c", SEARCH).split() == ["1", "complete"]


def test_a_report_is_written_and_a_study_begins_without_a_checkout(place: Place) -> None:
    where, commit = place.run("python", "-c", REPORT).split()
    assert Path(where).read_text().startswith("<!DOCTYPE html>")
    assert commit == "None"


def test_the_types_and_every_template_are_in_the_wheel(place: Place) -> None:
    (site,) = (place.folder / "env").glob("lib/python*/site-packages")
    for package in ("stacnet", "search", "analysis", "stac"):
        assert (site / package / "py.typed").exists()
        shipped = {path.relative_to(site) for path in (site / package).rglob("*.*")}
        ours = {path.relative_to(ROOT) for path in (ROOT / package).rglob("*.*")}
        assert {
            p for p in ours - shipped if p.suffix != ".pyc" and "__pycache__" not in p.parts
        } == (set())


def code_in(folder: Path) -> Path:
    """A folder with the file by which the code is known."""
    (folder / "search" / "store").mkdir(parents=True)
    (folder / "search" / "store" / "rows.py").write_text("1\n")
    return folder


def test_the_codes_commit_is_that_of_its_checkout_or_of_its_export(tmp_path: Path) -> None:
    code = code_in(tmp_path / "code")
    assert commit_of(code) is None
    subprocess.run([*GIT, "init", "-q"], cwd=code, check=True)
    subprocess.run([*GIT, "add", "."], cwd=code, check=True)
    subprocess.run([*GIT, "commit", "-qm", "a"], cwd=code, check=True)
    commit = commit_of(code)
    assert commit is not None
    assert len(commit) == 40
    (code / "search" / "store" / "rows.py").write_text("2\n")
    assert commit_of(code) == commit + "+"
    (code / "COMMIT").write_text("abc+\n")
    assert commit_of(code) == "abc+"


def test_the_commit_of_a_repository_around_the_environment_is_not_the_codes(tmp_path: Path) -> None:
    subprocess.run([*GIT, "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run([*GIT, "commit", "-qm", "theirs", "--allow-empty"], cwd=tmp_path, check=True)
    assert commit_of(code_in(tmp_path / ".venv" / "site-packages")) is None
