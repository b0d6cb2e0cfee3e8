"""`stac search | resume | extend | finalists | compact | repair | export | doctor`."""

import sys
from typing import assert_never

from search.drive import run as engine
from search.drive.run import Options, Summary
from search.store.repair import repair
from search.store.rows import code_facts
from search.store.store import Store
from search.study.studies import load_study, override
from stac.cli import study_commands as c
from stac.cli.flag_values import assignments

StudyCommand = (
    c.Search
    | c.Resume
    | c.Extend
    | c.Finalists
    | c.Status
    | c.Compact
    | c.Repair
    | c.Export
    | c.Doctor
)


def run(command: StudyCommand) -> int:
    """Run one of these commands; returns the exit code."""
    match command:
        case c.Search() | c.Resume() | c.Extend() | c.Finalists():
            _say(
                _carry_out(command),
                command.out if isinstance(command, c.Search) else command.folder,
            )
        case c.Status():
            from stac.cli import status

            return status.run(command)
        case c.Compact():
            engine.compact(command.folder)
        case c.Repair():
            for line in repair(Store(command.folder)):
                print(line, flush=True)
        case c.Export():
            _export(command)
        case c.Doctor():
            return _doctor(command)
        case _:
            assert_never(command)
    return 0


def _carry_out(command: c.Search | c.Resume | c.Extend | c.Finalists) -> Summary:
    if command.budget_s is not None and not command.budget_s > 0:
        raise ValueError(f"budget-s must be more than 0 seconds, got {command.budget_s}")
    options = Options(
        address=command.address,
        budget_s=command.budget_s,
        loggers=command.loggers,
    )
    match command:
        case c.Search():
            study = override(load_study(command.study), assignments(command.override))
            if command.reuse_from:
                Store(command.reuse_from).study()  # refused before anything is written
            return engine.search(
                study,
                command.out,
                options=options,
                reuse_from=command.reuse_from or "",
                warm_start=command.warm_start or "",
            )
        case c.Resume():
            _compare_code(Store(command.folder))
            return engine.resume(command.folder, options=options)
        case c.Extend():
            return engine.extend(
                command.folder, trials=command.trials, promote=command.promote, options=options
            )
        case c.Finalists():
            return engine.finalists(command.folder, options=options)
        case _:
            assert_never(command)


def _compare_code(store: Store) -> None:
    """Say which commit or version is another one than at the study's beginning."""
    began = store.code()
    changed = {name: text for name, text in code_facts().items() if began.get(name, text) != text}
    for name, text in changed.items():
        print(f"note: {name} was {began[name]} when the study began, is {text}", file=sys.stderr)


def _say(summary: Summary, folder: str) -> None:
    if summary.finished:
        done = f"{summary.ended} attempts" if summary.ended else "nothing was owed"
        print(f"finished: {done}; look with: stac status {folder}")
    else:
        print(f"stopped: {summary.reason}; go on with: stac resume {folder}")


def _export(command: c.Export) -> None:
    from search.sampling.export import export_csv, export_optuna

    store = Store(command.folder)
    match command.to:
        case "csv":
            for path in export_csv(store, command.out):
                print(path)
        case "optuna":
            print(f"{command.out}: {export_optuna(store, command.out)} trials")
        case _:
            assert_never(command.to)


def _doctor(command: c.Doctor) -> int:
    from search.cluster.doctor import doctor

    study = load_study(command.study) if command.study else None
    findings = doctor(study, command.out, command.address)
    for finding in findings:
        print(f"{'ok  ' if finding.ok else 'BAD '} {finding.about}: {finding.text}")
    return 0 if all(finding.ok for finding in findings) else 1
