"""`stac cluster wait | run | list | log | stop`."""

import json
import shlex

from search.cluster import cluster, cluster_runs
from stac.cli import cluster_commands as c
from stac.cli.study_commands import RunOptions


def wait(command: c.Wait) -> int:
    """Wait for its machines."""
    wanted = {"gpus": command.gpus, "cpus": command.cpus}
    return cluster.wait(command.file, **wanted, timeout_s=command.timeout_s)


def run(command: c.Run) -> int:
    """What trains a study becomes a run; anything else is shown to its end."""
    from stac.cli.main import parse

    words = shlex.split(command.command)
    if isinstance(parse(words), RunOptions):
        return cluster_runs.submit(command.file, words)
    return cluster_runs.run_now(command.file, words)


def every(command: c.List) -> None:
    """Print what runs, and what ran."""
    found = cluster_runs.runs(command.file)
    if command.json:
        print(json.dumps(found))
        return
    for one in found:
        print(f"{one['run']:18}  {one['state']:24}  {one['command']}")


def log(command: c.Log) -> int:
    """Print what a run has printed."""
    shown = {"lines": command.lines, "follow": command.follow}
    return cluster_runs.log(command.file, run=command.run, **shown)


def stop(command: c.Stop) -> int:
    """End a run."""
    return cluster_runs.stop(command.file, run=command.run)
