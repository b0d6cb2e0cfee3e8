"""A cluster from its YAML: up, wait, down; what `ray up` leaves to the user is done here.

`ray up` distributes no token, mounts whatever lies about in a checkout, stops Ray under a running
search whenever it is called again, opens ssh to the whole internet on AWS, and leaves Ray running
on the workers of a `local` cluster after `ray down`.
"""

import json
import os
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

from search.cluster import aws
from search.cluster.cluster_file import NO_SSH, Cluster, read_cluster, show, ssh
from search.cluster.snapshot import export, make_token
from search.drive import private
from search.errors import ClusterError

ON_HEAD = "cd ~/stacnet && . ~/.stacnet.env && exec .venv/bin"
MACHINES_AT_ONCE = 32


def up(file: str | Path, *, checkout: str | Path = ".") -> str:
    """Start the cluster, or start it again with the code of the checkout. Returns its head.

    Makes below `~/.stacnet/<cluster>/`: `tree`, a clean export of the checkout (tracked files as
    they are now), and `auth_token`. On AWS also a key, a security group and two roles (search/aws).

    Raises:
        ClusterError: a search is running on the cluster; `ray up` failed; not a git checkout.
    """
    cluster = read_cluster(file)
    running = at_work(cluster)
    if running:
        raise ClusterError(
            f"{cluster.name}: a cluster must not be restarted under a running search, got "
            f"{running}; wait for it, or `stac cluster stop` it and resume later"
        )
    cluster.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    export(Path(checkout), to=cluster.folder / "tree")
    make_token(cluster.folder / "auth_token")
    if cluster.is_local:
        _forget_head(cluster, running)
    else:
        cluster = _with_aws_made(cluster)
    # Autoscaler v2 starts all but one machine of a local cluster; v1 has no on-demand fallback.
    environment = {"RAY_UP_enable_autoscaler_v2": "0" if cluster.is_local else "1"}
    _ray("up", "--yes", str(cluster.file), environment=environment)
    return head_address(cluster)


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


def down(file: str | Path) -> list[str]:
    """End the cluster and look whether anything is left.

    Returns:
        What could not be looked at, such as a machine that is off; empty if all is known gone.

    Raises:
        ClusterError: something still runs (and, on AWS, costs money).
    """
    cluster = read_cluster(file)
    if not cluster.is_local:
        made = cluster.folder / "cluster.yaml"
        _ray("down", "--yes", str(made if made.exists() else cluster.file))
        left, unknown = aws.remove(cluster.provider["region"], name=cluster.name), []
    else:
        if _launcher_state(cluster).exists():
            _ray("down", "--yes", str(cluster.file))
        left, unknown = _stop_machines(cluster)
    if left:
        raise ClusterError(f"{cluster.name}: nothing must be left after down, got {left}")
    return unknown


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
    return aws.head_address(cluster.provider["region"], name=cluster.name)


def _launcher_state(cluster: Cluster) -> Path:
    return Path(private.launcher_notes(cluster.name))


def _forget_head(cluster: Cluster, running: list[str] | None) -> None:
    """Let `ray up` set a replaced head machine up: it believes its own notes, not the machine."""
    if running is None:
        _launcher_state(cluster).unlink(missing_ok=True)


def _with_aws_made(cluster: Cluster) -> Cluster:
    """The same cluster with what AWS needs, and the YAML that says so."""
    plain = yaml.safe_load(cluster.file.read_text())
    made = cluster.folder / "cluster.yaml"
    made.write_text(yaml.safe_dump(aws.prepare(plain, ssh_key=Path(cluster.ssh_key))))
    return read_cluster(made)


def _ray(*words: str, environment: dict[str, str] | None = None) -> None:
    """A command of Ray's own, its output on the terminal."""
    ray = [sys.executable, "-m", "ray.scripts.scripts", *words]
    quiet = {"RAY_USAGE_STATS_ENABLED": "0"}
    done = subprocess.run(ray, env=os.environ | quiet | (environment or {}))
    if done.returncode:
        raise ClusterError(f"ray {shlex.join(words)} ended with exit code {done.returncode}")


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


def _stop_machines(cluster: Cluster) -> tuple[list[str], list[str]]:
    """Machines with Ray processes that would not end, and machines that do not answer."""
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
