"""What a command imports: only what it needs."""

import subprocess
import sys

import pytest

HEAVY = {"torch", "torchvision", "ray", "optuna", "sklearn", "matplotlib", "pandas", "pydantic"}
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
