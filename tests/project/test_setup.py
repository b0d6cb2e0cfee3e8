"""`make setup`, with a program in uv's place: what it says, when it installs, what it checks."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = ("Makefile", "requirements.lock", "pyproject.toml")
UV = """#!/bin/sh
echo "uv $*" >> "$CALLS"
[ "$1" = venv ] || exit 0
rm -rf .venv; mkdir -p .venv/bin
ln -s "$FROM" .venv/bin/python; echo "home = ${FROM%/*}" > .venv/pyvenv.cfg
"""
DF = """#!/bin/sh
echo 'Filesystem 1024-blocks Used Available Capacity Mounted'
echo "disk 9000000 1 $FREE_KB 99% /"
"""
Make = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Makes in a copy of the files that `make setup` reads."""
    for name, text in (("uv", UV), ("df", DF)):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(text)
        program.chmod(0o755)
    (tmp_path / "one").mkdir()
    for name in FILES:
        shutil.copy(ROOT / name, tmp_path / "one")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("FREE_KB", "90000000")
    monkeypatch.setenv("FROM", str(Path(sys.executable).resolve()))
    monkeypatch.delenv("MAKEFLAGS", raising=False)

    def make(*words: str, folder: str = "one") -> subprocess.CompletedProcess[str]:
        (tmp_path / "calls").write_text("")
        command = ["make", "-C", str(tmp_path / folder), *words]
        return subprocess.run(command, capture_output=True, text=True)

    return make


def calls(tmp_path: Path) -> list[str]:
    """What uv was asked for: `venv`, or the last word of an install."""
    words = [line.split() for line in (tmp_path / "calls").read_text().splitlines()]
    return [line[1] if line[1] == "venv" else line[-1] for line in words]


def test_setup_says_first_how_much_it_installs_and_what_would_be_less(make: Make) -> None:
    said = make("setup").stdout.splitlines()[1]
    assert said.startswith("Installing requirements.lock into .venv: 6.7 GB with CUDA")
    assert "without a GPU: make setup TORCH=cpu, 2.3 GB" in said


def test_setup_installs_again_when_the_lock_has_other_bytes_and_only_then(
    make: Make, tmp_path: Path
) -> None:
    assert make("setup").returncode == 0
    assert calls(tmp_path) == ["venv", "requirements.lock", "."]
    make("setup")
    assert calls(tmp_path) == []
    lock = tmp_path / "one" / "requirements.lock"
    lock.write_text(lock.read_text() + "# another\n")
    os.utime(lock, (0, 0))  # as old as its commit
    make("setup")
    assert calls(tmp_path) == ["requirements.lock", "."]


def test_an_environment_that_was_copied_or_lost_its_python_is_made_anew(
    make: Make, tmp_path: Path
) -> None:
    make("setup")
    shutil.copytree(tmp_path / "one", tmp_path / "two", symlinks=True)
    make("setup", folder="two")
    assert calls(tmp_path) == ["venv", "requirements.lock", "."]
    for python in (tmp_path / "one" / ".venv" / "bin").glob("python*"):
        python.unlink()
    make("setup")
    assert calls(tmp_path) == ["venv", "requirements.lock", "."]


def test_without_cuda_no_package_of_nvidia_is_asked_for_and_it_stays_so(
    make: Make, tmp_path: Path
) -> None:
    assert make("setup", "TORCH=cpu").returncode == 0
    asked = (tmp_path / "calls").read_text().splitlines()
    assert calls(tmp_path)[:2] == ["venv", ".venv/cpu.lock"]
    torch = [line for line in asked if "--torch-backend=cpu" in line]
    assert [word.partition("==")[0] for word in torch[0].split()[-2:]] == ["torch", "torchvision"]
    lock = (tmp_path / "one" / ".venv" / "cpu.lock").read_text()
    names = {line.partition("==")[0] for line in lock.splitlines() if line[:1].isalpha()}
    assert not [n for n in names if n.startswith(("torch", "nvidia", "triton", "cuda"))]
    assert {"numpy", "ray", "optuna", "torchmetrics"} & names == {"numpy", "ray", "optuna"}
    make("setup")
    assert calls(tmp_path) == []
    make("setup", "TORCH=cuda")
    assert calls(tmp_path) == ["venv", "requirements.lock", "."]


def test_a_disk_that_is_too_small_and_a_torch_that_is_none_are_refused_before_anything_is_made(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FREE_KB", "5000000")
    full = make("setup")
    assert full.returncode == 2
    assert "the disk of this folder must have 7 GB free, got 5 GB" in full.stdout
    none = make("setup", "TORCH=gpu")
    assert none.returncode == 2
    assert "TORCH must be cuda or cpu, got TORCH=gpu" in none.stderr
    assert calls(tmp_path) == []
    assert not (tmp_path / "one" / ".venv").exists()
