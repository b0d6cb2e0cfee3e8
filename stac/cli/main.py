"""`stac`: parse, run the command, and turn mistakes into one line and an exit code."""

import contextlib
import io
import re
import sys
from importlib import import_module
from typing import Any

from stac.cli import commands as c

LONG_CHOICE = re.compile(r"\{[a-z,]{50,}\}")  # would not fit into the line of usage


def main(argv: list[str] | None = None) -> None:
    """Entry point. Exits 0 (done), 1 (ran and failed) or 2 (wrong use)."""
    try:
        code = run(parse(sys.argv[1:] if argv is None else argv))
    except BrokenPipeError:  # the reader of a pipe has seen enough
        sys.stderr.close()
        code = 0
    except (ValueError, OSError) as error:
        print(f"stac: {' '.join(str(error).split())}", file=sys.stderr)
        code = 2
    sys.exit(code)


def run(command: Any) -> int:
    """Run one command; modules that need ray, torch or matplotlib are imported here, not above."""
    module, _, function = c.HANDLERS[type(command)].partition(":")
    return getattr(import_module(f"stac.cli.{module}"), function)(command) or 0


def parse(argv: list[str]) -> Any:
    """Like `commands.parse`, but an error is one line, and help fits a terminal."""
    if argv in (["--version"], ["-V"]):
        print(_version())
        sys.exit(0)
    if argv in ([], ["data"], ["cluster"]):  # a script whose variable was empty shall not go on
        with contextlib.suppress(SystemExit):
            parse([*argv, "--help"])
        sys.exit(2)
    help_text, printed = _Page(), io.StringIO()
    try:
        with contextlib.redirect_stdout(help_text), contextlib.redirect_stderr(printed):
            return c.parse(argv)
    except SystemExit as stop:
        if stop.code:
            from stac.cli.known import mistaken

            line = mistaken(argv) or _one_line(printed.getvalue())
            print(f"stac: {line}", file=sys.stderr)
        else:
            page = LONG_CHOICE.sub("COMMAND ...", help_text.getvalue())
            print(page + _words(page), end="", flush=True)
        raise


def _words(page: str) -> str:
    from stac.cli.words import explained

    lines = list(explained(page)) if page.startswith("usage:") else []
    return "\n".join(["", "words:", *lines, ""]) if lines else ""


def _version() -> str:
    from importlib.metadata import version

    from search.store.rows import code_commit

    return f"stac {version('stacnet')} (commit {code_commit() or 'unknown'})"


class _Page(io.StringIO):
    """Text for stdout: in its encoding, and in colour if it is a terminal."""

    encoding = sys.stdout.encoding

    def isatty(self) -> bool:
        return sys.__stdout__ is not None and sys.__stdout__.isatty()


def _one_line(box: str) -> str:
    """The text of tyro's box, without its title, border and rules."""
    rows = [line.strip("│╰╯─ ") for line in box.splitlines()[1:]]
    text = " ".join("; " if set(row) == {"-"} or not row else row for row in rows)
    return re.sub(r"[\s;]*;\s*", "; ", text).strip("; ")
