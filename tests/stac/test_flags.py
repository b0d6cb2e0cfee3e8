"""The command line as it is: a flag that comes or goes is a change somebody has to write here."""

import re
from importlib import import_module
from typing import get_type_hints

import pytest

from stac.cli.commands import HANDLERS, parse
from stac.cli.known import known_commands

COMMANDS = """
demo: --out
studies: --json
bench: --json
plan: STUDY --override --seconds --slots --price --json
search: --address --budget-s --budget-money --prices --loggers STUDY --out --override
    --reuse-from --warm-start --prior
resume: --address --budget-s --budget-money --prices --loggers DIR
extend: --address --budget-s --budget-money --prices --loggers DIR --trials --promote
finalists: --address --budget-s --budget-money --prices --loggers DIR
status: DIR --json --watch --check --prices
compact: DIR
repair: DIR
export: DIR --to --out
doctor: --study --out --address
classrepsim: DIR --network --weights --data --size --taps --scales --device --out --images
    --train --json
compare: DIR --picks --json
report: DIR --out
replay: DIR --sampler --runs --concurrency --json
train: --depth --width --stem --input-size --in-channels --classes --stage-kernels --attention
    --scale --kernel --reduction --pool --upsample --fuse --padding --norm --position
    --placement --data --override --seed --out
cost: --depth --width --stem --input-size --in-channels --classes --stage-kernels --attention
    --scale --kernel --reduction --pool --upsample --fuse --padding --norm --position
    --placement --latency --json
sites: NETWORK --input-size --in-channels --json
data prepare: SOURCE --name --size --task
data inspect: NAME --sheet --json
cluster wait: FILE --gpus --cpus --timeout-s
cluster run: FILE COMMAND
cluster list: FILE --json
cluster log: FILE RUN --lines --follow
cluster stop: FILE RUN
"""


def test_these_commands_and_flags_exist_and_no_others() -> None:
    """A change of the command line is a line here, and one in CHANGELOG.md."""
    frozen = dict(line.split(": ") for line in COMMANDS.replace("\n    ", " ").strip().splitlines())
    assert {name: " ".join(flags) for name, flags in known_commands().items()} == frozen


@pytest.mark.parametrize("name", known_commands())
def test_the_help_page_has_the_listed_flags_and_no_others(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse([*name.split(), "--help"])
    page = capsys.readouterr().out
    shown = set(re.findall(r"^\W? (?:-[a-gi-z], )?(--[a-z][a-z-]+)", page, flags=re.M))
    assert shown == {flag for flag in known_commands()[name] if flag.startswith("--")}


@pytest.mark.parametrize(("command", "handler"), HANDLERS.items(), ids=HANDLERS.values())
def test_what_carries_a_command_out_takes_that_command(command: type, handler: str) -> None:
    module, _, function = handler.partition(":")
    hints = get_type_hints(getattr(import_module(f"stac.cli.{module}"), function))
    assert hints["command"] is command
    assert hints["return"] in (int, type(None))
