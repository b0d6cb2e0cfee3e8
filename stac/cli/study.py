"""`stac search | resume | extend | finalists | compact | repair | export | doctor`."""

import sys
from typing import assert_never

from search.drive import run as engine
from search.drive.run import Options, Summary
from search.store.hints import Hints
from search.store.repair import repair
from search.store.rows import code_facts
from search.store.store import Store
from search.study.studies import load_study, override
from stac.cli import study_commands as c
from stac.cli.flag_values import assignments
from stac.cli.waiting import Waiting


def search(command: c.Search) -> None:
    """Begin a study, or go on with the same one."""
    options = _options(command)
    study = override(load_study(command.study), assignments(command.override))
    if command.reuse_from:
        Store(command.reuse_from).study()  # refused before anything is written
    summary = engine.search(
        study,
        command.out,
        options=options,
        reuse_from=command.reuse_from or "",
        hints=Hints(warm_start=command.warm_start or "", prior=command.prior or ""),
    )
    _say(summary, command.out)


def resume(command: c.Resume) -> None:
    """Run what is owed."""
    options = _options(command)
    _compare_code(Store(command.folder))
    _say(engine.resume(command.folder, options=options), command.folder)


def extend(command: c.Extend) -> None:
    """Add to a study, and run it."""
    more = {"trials": command.trials, "promote": command.promote}
    _say(engine.extend(command.folder, **more, options=_options(command)), command.folder)


def finalists(command: c.Finalists) -> None:
    """Train the finalists, and look at the best of them."""
    summary = engine.finalists(command.folder, options=_options(command))
    _say(summary, command.folder)
    if summary.finished:
        with Waiting("looking at the best network") as waiting:
            from analysis.predict.attended import look_at_best

            look_at_best(Store(command.folder), tell=waiting.tell)


def compact(command: c.Compact) -> None:
    """Merge small files."""
    engine.compact(command.folder)


def mend(command: c.Repair) -> None:
    """Print what was set aside and what is owed."""
    for line in repair(Store(command.folder)):
        print(line, flush=True)


def _options(command: c.RunOptions) -> Options:
    return Options(
        address=command.address,
        budget_s=command.budget_s,
        budget_money=command.budget_money,
        prices=command.prices,
        loggers=command.loggers,
    )


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


def export(command: c.Export) -> None:
    """Write the study for other tools; print the files."""
    from search.sampling.export import export_csv, export_optuna

    store = Store(command.folder)
    match command.to:
        case "csv":
            for path in export_csv(store, command.out):
                print(path)
        case "syne-tune":
            from search.sampling.export_blackbox import export_blackbox

            print(f"{command.out}: {export_blackbox(store, command.out)} configurations")
        case "optuna":
            print(f"{command.out}: {export_optuna(store, command.out)} trials")
        case _:
            assert_never(command.to)


def examine(command: c.Doctor) -> int:
    """Print what the doctor found; 1 if anything is bad."""
    from search.cluster.doctor import doctor
    from search.drive.engine import cluster_address

    study = load_study(command.study) if command.study else None
    findings = doctor(study, command.out, cluster_address(command.address))
    for finding in findings:
        print(f"{'ok  ' if finding.ok else 'BAD '} {finding.about}: {finding.text}")
    return 0 if all(finding.ok for finding in findings) else 1
