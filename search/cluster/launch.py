"""What `ray up` and `ray down` leave to the user, done by the provider that a YAML names.

`ray up` distributes no token, mounts whatever lies about in a checkout, stops Ray under a running
search whenever it is called again, opens ssh to the whole internet on AWS, and leaves Ray running
on the workers of a `local` cluster after `ray down`. Ray's `external` provider is the place to mend
that: these are the steps that `LocalProvider` and `AwsProvider` share.
"""

import atexit
import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from search.cluster.cluster import at_work
from search.cluster.cluster_file import Cluster, cluster_of
from search.cluster.snapshot import export, make_token
from search.drive import private
from search.errors import ClusterError

CHECKOUT = Path(__file__).parents[2]  # whose environment this `ray` is of
OLD_CACHE = "Ray must read the YAML, not a cache of an earlier command: call it again"
Config = dict[str, Any]
_seen: dict[str, Cluster] = {}  # of which Ray has read the YAML in this process
_locks: dict[str, int] = {}  # of those that this process starts
_made: set[str] = set()  # those that are ready to start


@contextmanager
def in_one_line() -> Iterator[None]:
    """An error of ours ends `ray` with a line and exit code 1; Ray would swallow some errors."""
    try:
        yield
    except ClusterError as error:
        raise SystemExit(f"error: {error}") from None


def begin(config: Config) -> Cluster | None:
    """Read what Ray has read; before the cluster starts, make what it needs. None if it does not.

    Makes below `~/.stacnet/<cluster>/`: `tree`, a clean export of the checkout (tracked files as
    they are now), and `auth_token`.

    Raises:
        ClusterError: a search is running on it; somebody else starts it; a field is wrong; this is
            not a git checkout.
    """
    cluster = _read(config)
    atexit.register(forget_cache, config["provider"])
    if not private.is_launching():
        return None
    if cluster.is_local and not cluster.ssh_key.is_file():
        raise ClusterError(f"auth.ssh_private_key must be a file, got {cluster.ssh_key}")
    cluster.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _alone(cluster)
    running = at_work(cluster)
    if running:
        raise ClusterError(
            f"{cluster.name}: a cluster must not be restarted under a running search, got "
            f"{running}; wait for it, or `stac cluster stop` it and resume later"
        )
    export(CHECKOUT, to=cluster.folder / "tree")
    make_token(cluster.folder / "auth_token")
    if cluster.is_local and running is None:  # Ray would believe its notes, not a new machine
        Path(private.launcher_notes(cluster.name)).unlink(missing_ok=True)
    _made.add(cluster.name)
    return cluster


def _read(config: Config) -> Cluster:
    cluster = cluster_of(config, config.get("cluster_name", "the cluster's YAML"))
    _seen[cluster.name] = cluster
    return cluster


def _alone(cluster: Cluster) -> None:
    """Until this process ends, no other one of this user makes the cluster's folder anew."""
    if cluster.name in _locks:
        return
    lock = _locks[cluster.name] = os.open(cluster.folder / "lock", os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(_locks.pop(cluster.name))
        rule = f"{cluster.name}: a cluster is started by one `ray up` at a time"
        raise ClusterError(f"{rule}, got another one at work") from None


def forget_cache(provider: Config) -> None:
    """Let the next command read the YAML: from Ray's cache, nothing of the above would be done.

    Ray notes in the provider's section where it has written the cache; it does so after `begin`,
    and may write it again, so this is called by the provider and at the end of the process.
    """
    cache = provider.get("_config_cache_path")
    if cache:
        Path(cache).unlink(missing_ok=True)


class Guarded:
    """What our providers have before Ray's own in their line of classes.

    Args:
        provider_config: the YAML's section, which Ray also notes its cache in.
        cluster_name: of the YAML, or of the command line.
    """

    kind: ClassVar[str]  # Ray's name of its own provider, which the head uses

    def __init__(self, provider_config: Config, cluster_name: str) -> None:
        forget_cache(provider_config)
        self.cluster_name = cluster_name
        super().__init__(provider_config, cluster_name)  # pyright: ignore[reportCallIssue]

    @classmethod
    def fillout_available_node_types_resources(cls, cluster_config: Config) -> Config:
        """The YAML with what is mounted, and with what Ray adds for its own provider.

        Ray calls this first, and makes a warning of any other error than this one.

        Raises:
            SystemExit: a field is wrong.
        """
        with in_one_line():
            _read(cluster_config)
        config = cls.completed(cluster_config)
        folder = Cluster.folder_of(config["cluster_name"])
        made = {
            "~/stacnet": str(folder / "tree"),
            "~/.ray/auth_token": str(folder / "auth_token"),
        }
        mounts = made | (config.get("file_mounts") or {})
        return private.launch_defaults(cls.kind) | config | {"file_mounts": mounts}

    def prepare_for_head_node(self, cluster_config: Config) -> Config:
        """What the head's autoscaler reads: Ray's own provider, since ours is not needed there.

        Raises:
            SystemExit: Ray started the cluster from a configuration that was not made ready.
        """
        with in_one_line():
            if self.cluster_name not in _made:
                raise ClusterError(f"{self.cluster_name}: {OLD_CACHE}")
        kept = {key: value for key, value in cluster_config["provider"].items() if key != "module"}
        return cluster_config | {"provider": kept | {"type": self.kind}}

    def cleanup_cluster_resources(self) -> None:
        """The last words of `ray down`.

        Raises:
            SystemExit: something is left.
        """
        with in_one_line():
            name = self.cluster_name
            if name not in _seen:
                raise ClusterError(f"{name}: {OLD_CACHE}")
            left, unknown = self.left(_seen[name])
            for line in unknown:
                print(f"not seen: {line}", file=sys.stderr)
            if left:
                raise ClusterError(f"{name}: nothing must be left after down, got {left}")
            print("down; nothing is left" + (" where it could be seen" if unknown else ""))

    @staticmethod
    def completed(config: Config) -> Config:
        """The YAML with the types of machines and the key that this kind of cluster has."""
        raise NotImplementedError

    @staticmethod
    def left(cluster: Cluster) -> tuple[list[str], list[str]]:
        """End what Ray leaves; what is there still, and what could not be looked at."""
        raise NotImplementedError
