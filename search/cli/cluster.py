"""`stac cluster up | wait | submit | log | down`."""

import shlex
import sys
from typing import assert_never

from search import cluster
from search.cli import cluster_commands as c

ClusterCommand = c.Up | c.Wait | c.Submit | c.Log | c.Down


def run(command: ClusterCommand) -> int:
    """Run one of these commands; returns the exit code."""
    match command:
        case c.Up():
            print(f"head: {cluster.up(command.file)}")
        case c.Wait():
            wanted = {"gpus": command.gpus, "cpus": command.cpus}
            print(cluster.wait(command.file, **wanted, timeout_s=command.timeout_s))
        case c.Submit():
            folder = cluster.submit(command.file, shlex.split(command.command))
            print(f"running in {folder} on the head; stac cluster log {command.file}")
        case c.Log():
            print(cluster.log(command.file, lines=command.lines))
        case c.Down():
            unknown = cluster.down(command.file)
            for line in unknown:
                print(f"not seen: {line}", file=sys.stderr)
            print("down; nothing is left" + (" where it could be seen" if unknown else ""))
        case _:
            assert_never(command)
    return 0
