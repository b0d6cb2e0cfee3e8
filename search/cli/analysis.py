"""`stac classrepsim | compare | report | replay | demo`: what a trained vanilla network predicts."""

import json
import sys
from pathlib import Path
from typing import assert_never

from search.cli import commands as c
from search.store import Store


def run(command: c.Demo | c.ClassRepSim | c.Compare | c.Report | c.Replay) -> int:
    """Run one of these commands; returns the exit code."""
    match command:
        case c.Demo():
            return _demo(command)
        case c.ClassRepSim():
            return _classrepsim(command)
        case c.Compare():
            return _compare(command)
        case c.Report():
            from analysis.report import report

            print(report([command.folder], command.out))
        case c.Replay():
            raise NotImplementedError
        case _:
            assert_never(command)
    return 0


def _demo(command: c.Demo) -> int:
    from analysis.predict import predict
    from analysis.report import report
    from search.run import Options, search
    from search.studies import demo_patch, demo_wide

    folders = []
    for study in (demo_patch(), demo_wide()):
        folder = Path(command.out) / study.name
        print(f"search: {study.name}", file=sys.stderr)
        if not search(study, folder, options=Options()).finished:
            print(f"stopped; go on with: stac demo --out {command.out}")
            return 0
        predict(Store(folder))
        folders.append(str(folder))
    print(report(folders, Path(command.out) / "report.html"))
    return 0


def _classrepsim(command: c.ClassRepSim) -> int:
    from analysis.predict import predict

    chart, picks = predict(Store(command.folder), images=command.images)
    print(picks.to_json() if command.json else picks.primary_rule)
    return 0


def _compare(command: c.Compare) -> int:
    from analysis.compare import compare
    from analysis.comparison import plain

    comparison = compare(Store(command.folder), picks_file=command.picks)
    print(json.dumps(plain(comparison)))
    return 0
