"""Work on a cluster from its launcher: start, list, follow and stop runs; ask the head."""

import json
import shlex
from pathlib import Path
from typing import Any

from search.cluster.cluster import ask_head, show_head
from search.cluster.cluster_file import read_cluster


def submit(file: str | Path, words: list[str]) -> int:
    """Start `stac WORDS` on the head as a run, which outlives this ssh session.

    Prints who was before it, its first lines and its name; a search keeps the slots it holds, so
    a second one gets what is free or what the autoscaler adds, and else waits.

    Args:
        file: the cluster's YAML.
        words: such as `["search", "demo", "--out", "s3://…"]`.

    Returns:
        Its exit code if it has ended at once, else 0.

    Raises:
        ClusterError: the head or its Ray does not answer.
    """
    return show_head(read_cluster(file), shlex.join(["submit", *words]))


def run_now(file: str | Path, words: list[str]) -> int:
    """Run `stac WORDS` on the head to its end, shown here; returns its exit code.

    Raises:
        ClusterError: the head does not answer.
    """
    return show_head(read_cluster(file), shlex.join(words), program="stac")


def runs(file: str | Path) -> list[dict[str, Any]]:
    """Every run of the cluster's head, oldest first: run, state, exit, since, command.

    Raises:
        ClusterError: the head does not answer.
    """
    return json.loads(ask_head(read_cluster(file), "runs", timeout_s=60))


def log(file: str | Path, *, run: str | None, lines: int, follow: bool) -> int:
    """Show the last lines of a run and its state; returns 0.

    Args:
        file: the cluster's YAML.
        run: which; None for the newest that runs, else the newest.
        lines: how many.
        follow: go on until it ends.

    Raises:
        ClusterError: the head does not answer.
    """
    words = ["log", *_named(run), f"--lines={lines}", *(["--follow"] if follow else [])]
    return show_head(read_cluster(file), shlex.join(words))


def stop(file: str | Path, *, run: str | None) -> int:
    """End a run in order: checkpoints and rows are written; returns 0.

    Raises:
        ClusterError: the head does not answer.
    """
    return show_head(read_cluster(file), shlex.join(["stop", *_named(run)]))


def _named(run: str | None) -> list[str]:
    return [] if run is None else [f"--run={run}"]
