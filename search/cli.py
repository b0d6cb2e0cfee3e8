"""`stac`: parse, run the command, and turn mistakes into one line and an exit code."""

import contextlib
import io
import re
import sys
from typing import assert_never

from search import commands as c


def main(argv: list[str] | None = None) -> None:
    """Entry point. Exits 0 (done), 1 (ran and failed) or 2 (wrong use)."""
    command = _parse(sys.argv[1:] if argv is None else argv)
    try:
        code = run(command)
    except (ValueError, OSError) as error:
        print(f"stac: {' '.join(str(error).split())}", file=sys.stderr)
        code = 2
    except BrokenPipeError:
        code = 0
    sys.exit(code)


def run(command: c.Command) -> int:
    """Run one command; modules that need ray, torch or matplotlib are imported here, not above."""
    match command:
        case c.Cost() | c.Train() | c.Prepare() | c.Inspect():
            from search import cli_network

            return cli_network.run(command)
        case c.Demo() | c.ClassRepSim() | c.Compare() | c.Report() | c.Replay():
            from search import cli_analysis

            return cli_analysis.run(command)
        case (
            c.Studies()
            | c.Search()
            | c.Resume()
            | c.Extend()
            | c.Finalists()
            | c.Status()
            | c.Compact()
            | c.Export()
            | c.Doctor()
        ):
            from search import cli_study

            return cli_study.run(command)
        case _:
            assert_never(command)


def _parse(argv: list[str]) -> c.Command:
    """Like `commands.parse`, but an error is one line."""
    printed = io.StringIO()
    try:
        with contextlib.redirect_stderr(printed):
            return c.parse(argv)
    except SystemExit as stop:
        if stop.code:
            words = re.sub(r"[╭╮╰╯│─]+", " ", printed.getvalue()).split()
            print(f"stac: {' '.join(words)}", file=sys.stderr)
        raise
