"""`stac cluster up | wait | submit | runs | log | stop | down`."""

import json
import shlex
import sys
from typing import assert_never

from search.cluster import cluster, cluster_runs
from stac.cli import cluster_commands as c
from stac.cli.commands import Command
from stac.cli.study_commands import RunOptions

ClusterCommand = c.Up | c.Wait | c.Submit | c.Runs | c.Log | c.Stop | c.Down


def run(command: ClusterCommand) -> int:
    """Run one of these commands; returns the exit code."""
    match command:
        case c.Up():
            print(f"head: {cluster.up(command.file)}")
        case c.Wait():
            wanted = {"gpus": command.gpus, "cpus": command.cpus}
            return cluster.wait(command.file, **wanted, timeout_s=command.timeout_s)
        case c.Submit():
            return _submit(command.file, shlex.split(command.command))
        case c.Runs():
            _print_runs(command)
        case c.Log():
            shown = {"lines": command.lines, "follow": command.follow}
            return cluster_runs.log(command.file, run=command.run, **shown)
        case c.Stop():
            return cluster_runs.stop(command.file, run=command.run)
        case c.Down():
            unknown = cluster.down(command.file)
            for line in unknown:
                print(f"not seen: {line}", file=sys.stderr)
            print("down; nothing is left" + (" where it could be seen" if unknown else ""))
        case _:
            assert_never(command)
    return 0


def _submit(file: str, words: list[str]) -> int:
    """What trains a study becomes a run; anything else is shown to its end."""
    from stac.cli.main import parse

    asked = parse(words)
    words = on_cluster(words, asked)
    if isinstance(asked, RunOptions):
        return cluster_runs.submit(file, words)
    return cluster_runs.run_now(file, words)


def on_cluster(words: list[str], asked: Command) -> list[str]:
    """The words with the address of the cluster, if the command asks for one and has none."""
    return [*words, "--address", "auto"] if getattr(asked, "address", "none") is None else words


def _print_runs(command: c.Runs) -> None:
    runs = cluster_runs.runs(command.file)
    if command.json:
        print(json.dumps(runs))
        return
    for run in runs:
        print(f"{run['run']:18}  {run['state']:24}  {run['command']}")
