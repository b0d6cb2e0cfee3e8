"""What `stac` needs to know of a cluster's YAML, and ssh to its machines."""

import json
import os
import re
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from search.errors import ClusterError

SSH = "-o BatchMode=yes -o ConnectTimeout=10 -o LogLevel=ERROR -o StrictHostKeyChecking=no"
NAME = "[A-Za-z0-9][A-Za-z0-9_-]*"
USER = "[A-Za-z0-9_][A-Za-z0-9_.-]*"
ADDRESS = "[A-Za-z0-9:][A-Za-z0-9:._-]*"
PROVIDERS = {
    "search.cluster.local_provider.LocalProvider": "local",
    "search.cluster.aws_provider.AwsProvider": "aws",
}
NO_SSH = 255  # ssh's exit code when it could not connect


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """What `stac` needs to know of a cluster's YAML.

    Args:
        name: `cluster_name`.
        provider: the provider section.
        ssh_user, ssh_key: who logs in, with which key file.
    """

    name: str
    provider: dict[str, Any]
    ssh_user: str
    ssh_key: Path

    @staticmethod
    def folder_of(name: str) -> Path:
        """Where the launcher keeps what it made for a cluster."""
        return Path.home() / ".stacnet" / name

    @property
    def folder(self) -> Path:
        """Where the launcher keeps what it made for this cluster."""
        return self.folder_of(self.name)

    @property
    def is_local(self) -> bool:
        """Whether the machines are one's own."""
        return PROVIDERS[self.provider["module"]] == "local"

    @property
    def region(self) -> str:
        """Where its machines are, on AWS."""
        return self.provider["region"]


def read_cluster(file: str | Path) -> Cluster:
    """Read a cluster's YAML.

    Raises:
        ClusterError: the file, the field, the rule.
    """
    try:
        return cluster_of(yaml.safe_load(Path(file).read_text()), file)
    except (OSError, yaml.YAMLError) as error:
        raise ClusterError(f"{file}: not a readable YAML file: {error}") from None


def cluster_of(plain: dict[str, Any], file: str | Path) -> Cluster:
    """What a cluster's YAML says.

    Args:
        plain: its fields.
        file: where they are from, for errors.

    Raises:
        ClusterError: the file, the field, the rule.
    """
    try:
        name, auth = plain["cluster_name"], plain["auth"]
        key = auth.get("ssh_private_key") or Cluster.folder_of(str(name)) / "id_ed25519"
        cluster = Cluster(
            name=name,
            provider=plain["provider"],
            ssh_user=auth["ssh_user"],
            ssh_key=Path(key).expanduser(),
        )
        _refuse_unchanged(file, json.dumps(plain))
        module = cluster.provider.get("module")
        if cluster.provider["type"] != "external" or module not in [*PROVIDERS]:
            rule = f"provider must be of type external with a module of {[*PROVIDERS]}"
            raise ClusterError(f"{file}: {rule}, got type {cluster.provider['type']}, {module}")
        _refuse_odd_names(file, cluster)
    except (KeyError, TypeError, AttributeError) as error:
        raise ClusterError(f"{file}: a cluster needs the field {error}") from None
    return cluster


def _refuse_unchanged(file: str | Path, text: str) -> None:
    words = re.findall(r"CHANGE[\w./-]*", text)
    if words:
        raise ClusterError(f"{file}: every CHANGE must be changed, got {words[0]}")


def _refuse_odd_names(file: str | Path, cluster: Cluster) -> None:
    """These become parts of paths, of names in AWS and of ssh's command line."""
    named: list[tuple[str, Any, str]] = [
        ("cluster_name", cluster.name, NAME),
        ("auth.ssh_user", cluster.ssh_user, USER),
    ]
    if cluster.is_local:
        workers = cluster.provider["worker_ips"]
        listed = workers if isinstance(workers, list) else [workers]
        named += [("provider.head_ip", cluster.provider["head_ip"], ADDRESS)]
        named += [("provider.worker_ips", address, ADDRESS) for address in listed]
    else:
        named += [("provider.region", cluster.provider["region"], NAME)]
    for field, value, allowed in named:
        if not isinstance(value, str) or not re.fullmatch(allowed, value):
            raise ClusterError(f"{file}: {field} must match {allowed}, got {value!r}")


def ssh(
    cluster: Cluster, address: str, script: str, *, timeout_s: float
) -> subprocess.CompletedProcess[str]:
    """Run a bash script on a machine; exit code 255 if it does not answer in time."""
    command = _command(cluster, address, script)
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, NO_SSH, "", f"no answer in {timeout_s:.0f} s")


def show(cluster: Cluster, address: str, script: str) -> int:
    """Run a bash script on a machine, its output on this terminal; returns its exit code.

    Its stdin stays open as long as this process lives, so it can tell when nobody looks any more.

    Raises:
        ClusterError: the machine does not answer.
    """
    with subprocess.Popen(_command(cluster, address, script), stdin=subprocess.PIPE) as process:
        try:
            code = process.wait()
        except KeyboardInterrupt:  # it has reached ssh too
            return 130
    if code == NO_SSH:
        raise ClusterError(f"{cluster.name}: {address} must answer ssh as {cluster.ssh_user}")
    return code


def _command(cluster: Cluster, address: str, script: str) -> list[str]:
    command = [
        "ssh",
        *SSH.split(),
        "-o",
        f"UserKnownHostsFile={os.devnull}",
        "-i",
        str(cluster.ssh_key),
    ]
    return [*command, f"{cluster.ssh_user}@{address}", "bash", "-c", shlex.quote(script)]
