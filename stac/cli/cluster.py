"""`stac cluster up | wait | submit | runs | log | stop | down`."""

import json
import shlex
import sys

from search.cluster import cluster, cluster_runs
from stac.cli import cluster_commands as c
from stac.cli.study_commands import RunOptions


def up(command: c.Up) -> None:
    """Start a cluster; print its head."""
    print(f"head: {cluster.up(command.file)}")


def wait(command: c.Wait) -> int:
    """Wait for its machines."""
    wanted = {"gpus": command.gpus, "cpus": command.cpus}
    return cluster.wait(command.file, **wanted, timeout_s=command.timeout_s)


def submit(command: c.Submit) -> int:
    """What trains a study becomes a run; anything else is shown to its end."""
    from stac.cli.main import parse

    words = shlex.split(command.command)
    asked = parse(words)
    words = on_cluster(words, asked)
    if isinstance(asked, RunOptions):
        return cluster_runs.submit(command.file, words)
    return cluster_runs.run_now(command.file, words)


def on_cluster(words: list[str], asked: object) -> list[str]:
    """The words with the address of the cluster, if the command asks for one and has none."""
    return [*words, "--address", "auto"] if getattr(asked, "address", "none") is None else words


def runs(command: c.Runs) -> None:
    """Print what runs, and what ran."""
    found = cluster_runs.runs(command.file)
    if command.json:
        print(json.dumps(found))
        return
    for run in found:
        print(f"{run['run']:18}  {run['state']:24}  {run['command']}")


def log(command: c.Log) -> int:
    """Print what a run has printed."""
    shown = {"lines": command.lines, "follow": command.follow}
    return cluster_runs.log(command.file, run=command.run, **shown)


def stop(command: c.Stop) -> int:
    """End a run."""
    return cluster_runs.stop(command.file, run=command.run)


def down(command: c.Down) -> None:
    """End a cluster; print what could not be seen."""
    unknown = cluster.down(command.file)
    for line in unknown:
        print(f"not seen: {line}", file=sys.stderr)
    print("down; nothing is left" + (" where it could be seen" if unknown else ""))
