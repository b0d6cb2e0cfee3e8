"""`stac search | resume | extend | finalists | status | …`: a study from plan to table."""

from collections.abc import Iterable
from typing import assert_never

from rich.console import Console
from rich.table import Table

from search.cli import study_commands as c
from search.run import Options, Summary, resume, search
from search.studies import load_study, named_studies, override

StudyCommand = (
    c.Studies
    | c.Search
    | c.Resume
    | c.Extend
    | c.Finalists
    | c.Status
    | c.Compact
    | c.Export
    | c.Doctor
)


def run(command: StudyCommand) -> int:
    """Run one of these commands; returns the exit code."""
    match command:
        case c.Search():
            return _search(command)
        case c.Resume():
            options = Options(address=command.address, budget_s=command.budget_s)
            return _ended(resume(command.folder, options=options), command.folder)
        case _:
            raise NotImplementedError


def changes(groups: Iterable[Iterable[str]]) -> dict[str, str]:
    """FIELD=VALUE words as a mapping.

    Raises:
        ValueError: a word has no `=`.
    """
    words = [word for group in groups for word in group]
    for word in words:
        if "=" not in word:
            raise ValueError(f"--override takes FIELD=VALUE, got {word}")
    return {name: value for name, _, value in (word.partition("=") for word in words)}


def _search(command: c.Search) -> int:
    study = override(load_study(command.study), changes(command.override))
    options = Options(address=command.address, budget_s=command.budget_s)
    summary = search(study, command.out, options=options, reuse_from=command.reuse_from or "")
    return _ended(summary, command.out)


def _ended(summary: Summary, folder: str) -> int:
    if summary.finished:
        done = f"{summary.ended} attempts" if summary.ended else "nothing was owed"
        print(f"finished: {done}; stac status {folder}")
    else:
        print(f"stopped: {summary.reason}; go on with: stac resume {folder}")
    return 0
