"""What a command imports: only what it needs."""

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"torch", "torchvision", "ray", "optuna", "sklearn", "matplotlib", "pandas", "pydantic"}
COMPILER = {"torch._dynamo", "torch._inductor", "sympy"}  # torch's: 3 s of each process
MAIN = """
import atexit, sys
atexit.register(lambda: print(*sys.modules, file=sys.stderr))
from stac.cli.main import main
main()
"""


@pytest.mark.parametrize(
    ("command", "unwanted"),
    [
        ("--help", {*HEAVY, "scipy", "pyarrow", "numpy"}),
        ("--version", {*HEAVY, "scipy"}),
        ("studies", {*HEAVY, "scipy", "pyarrow"}),
        ("bench", {*HEAVY, "scipy"} - {"pydantic"}),
        ("status bench:sawtooth", {*HEAVY, "scipy"} - {"pydantic"}),
        ("compare bench:sawtooth --json", HEAVY - {"pydantic"}),
        ("cost --depth 18", {*HEAVY, *COMPILER, "scipy"} - {"torch"}),
    ],
)
def test_a_command_that_trains_nothing_imports_only_what_it_needs(
    command: str, unwanted: set[str]
) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", MAIN, *command.split()], capture_output=True, text=True, check=True
    )
    imported = set(ended.stderr.splitlines()[-1].split())
    assert "stac.cli.main" in imported
    assert not unwanted & imported


TRAIN = """
import sys
import stac
from search.study.studies import load_study, override

study = override(load_study("digits"), {"space.scales": '[["off", 1], ["off"], ["off"]]'})
stac.search(override(study, {"protocol.epochs": "1"}), sys.argv[1], in_process=True, progress=False)
print(*sys.modules)
"""


def test_training_imports_neither_torchs_compiler_nor_scikit_learn(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", TRAIN, str(tmp_path / "study")],
        capture_output=True,
        text=True,
        check=True,
    )
    imported = set(ended.stdout.split())
    assert "torch.optim" in imported
    assert not {*COMPILER, "sklearn", "scipy", "ray", "optuna"} & imported
