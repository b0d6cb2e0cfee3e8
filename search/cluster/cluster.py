"""A cluster that is up, seen from its launcher: who is at work, where its head is, its end."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from search.cluster import aws
from search.cluster.cluster_file import NO_SSH, Cluster, read_cluster, show, ssh
from search.errors import ClusterError

ON_HEAD = "cd ~/stacnet && . ~/.stacnet.env && exec .venv/bin"
MACHINES_AT_ONCE = 32


def wait(file: str | Path, *, gpus: int = 0, cpus: int = 0, timeout_s: float = 1200) -> int:
    """Ask the autoscaler for so many GPUs and CPUs and wait until the cluster has them.

    Shows what there is whenever that changes; at the end of the time also which launches failed.

    Returns:
        Exit code: 0 if they are there, 1 if not within the time.

    Raises:
        ClusterError: a number is negative or none; the head does not answer.
    """
    if not (gpus >= 0 and cpus >= 0 and timeout_s >= 0):
        raise ClusterError(
            f"what is waited for must be at least 0, got {gpus=} {cpus=} {timeout_s=}"
        )
    asked = f"wait --gpus {gpus} --cpus {cpus} --timeout-s {timeout_s}"
    return show_head(read_cluster(file), asked)


def at_work(cluster: Cluster) -> list[str] | None:
    """The runs and other drivers at work; None if the cluster has no Ray that answers."""
    try:
        return json.loads(ask_head(cluster, "at-work", timeout_s=90).splitlines()[-1])
    except (ClusterError, ValueError, IndexError):
        return None


def head_address(cluster: Cluster) -> str:
    """Address of the head, as the launcher reaches it.

    Raises:
        ClusterError: there is none.
    """
    if cluster.is_local:
        return cluster.provider["head_ip"]
    return aws.head_address(cluster.region, name=cluster.name)


def ask_head(cluster: Cluster, words: str, *, timeout_s: float) -> str:
    """What `search.cluster.on_head` answers on the head.

    Raises:
        ClusterError: its error, or the head does not answer in time.
    """
    script = f"{ON_HEAD}/python -m search.cluster.on_head {words}"
    done = ssh(cluster, head_address(cluster), script, timeout_s=timeout_s)
    if done.returncode:
        raise ClusterError(f"{cluster.name}: {(done.stderr or done.stdout).strip()[-500:]}")
    return done.stdout.strip()


def show_head(
    cluster: Cluster, words: str, *, program: str = "python -m search.cluster.on_head"
) -> int:
    """Let a program of the head speak here; returns its exit code.

    Raises:
        ClusterError: the head does not answer.
    """
    return show(cluster, head_address(cluster), f"{ON_HEAD}/{program} {words}")


def stop_machines(cluster: Cluster) -> tuple[list[str], list[str]]:
    """Stop Ray; machines with processes of it that would not end, and those that do not answer."""
    script = f"cd ~/stacnet && .venv/bin/ray stop --grace-period 5 > /dev/null 2>&1; {_COUNT}"
    addresses = [cluster.provider["head_ip"], *cluster.provider["worker_ips"]]
    with ThreadPoolExecutor(MACHINES_AT_ONCE) as pool:
        answers = list(pool.map(lambda one: ssh(cluster, one, script, timeout_s=60), addresses))
    left, unknown = [], []
    for address, done in zip(addresses, answers, strict=True):
        if done.returncode == NO_SSH:
            unknown.append(f"{address}: {done.stderr.strip()}")
        elif done.stdout.strip():
            left.append(f"{address}: {done.stdout.split()}")
    return left, unknown


# Names of the user's processes that are Ray's; `ray::` also covers the trials.
_PATTERN = (
    r"^ray::[A-Za-z]*|[/ ](raylet|gcs_server) |/ray/(_private|autoscaler|dashboard)/[a-z_/]*\.py"
)
_COUNT = f"ps -u $(id -u) -o args= | grep -oE '{_PATTERN}' | sort -u"
