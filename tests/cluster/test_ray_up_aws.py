"""Ray's own commands with cluster.yaml, against moto's EC2 and IAM; ssh and rsync are recorded."""

import fcntl
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from amazon import REGION, edited

from search.cluster.aws_provider import AwsProvider

SHIM = """#!/bin/sh
echo "$(basename "$0") $*" >> {log}
case "$*" in *at-work*) cat {busy};; esac
"""
RAY_S = 60
RAY = """
from ray.scripts.scripts import main
from search.cluster import aws

aws.IAM_SETTLES_S = 0
main()
"""


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home with the edited cluster.yaml, AWS on the loopback, and what ssh and rsync are asked.

    No `ssh` of this machine is on the path of the commands: nothing leaves it.
    """
    (tmp_path / "cluster.yaml").write_text(edited())
    (tmp_path / "busy").write_text("[]")
    (tmp_path / "bin").mkdir()
    for name in ("ssh", "rsync"):
        shim = tmp_path / "bin" / name
        shim.write_text(SHIM.format(log=tmp_path / "log", busy=tmp_path / "busy"))
        shim.chmod(0o755)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": REGION,
        "MOTO_EC2_LOAD_DEFAULT_AMIS": "false",  # 3 s
        "HOME": str(tmp_path),
        "TMPDIR": str(tmp_path),
        "PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(port)
        yield tmp_path
    finally:
        server.kill()
        server.wait()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + RAY_S
    while time.monotonic() < deadline:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError("moto must listen")


def ray(*words: str) -> tuple[int, str]:
    """`ray WORDS`: exit code and output."""
    done = subprocess.run(
        [sys.executable, "-c", RAY, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=RAY_S,
        env=os.environ,
    )
    return done.returncode, done.stdout


def machines() -> list[dict[str, Any]]:
    """Instances that are there."""
    pages = boto3.client("ec2").describe_instances()["Reservations"]
    every = [one for page in pages for one in page["Instances"]]
    return [one for one in every if one["State"]["Name"] == "running"]


def groups() -> dict[str, list[Any]]:
    """Security groups and what they open."""
    found = boto3.client("ec2").describe_security_groups()["SecurityGroups"]
    return {group["GroupName"]: group["IpPermissions"] for group in found}


def test_a_cluster_goes_up_is_used_is_left_alone_under_a_search_and_is_gone(world: Path) -> None:
    (world / "cluster.yaml").write_text(edited().replace("name: stacnet", "name: lab"))
    file = str(world / "cluster.yaml")
    code, said = ray("up", "--yes", file)
    assert code == 0, said
    (head,) = machines()
    assert head["KeyName"] == "lab"
    assert head["IamInstanceProfile"]["Arn"].endswith("/lab-head")
    ssh = [rule for rule in groups()["lab"] if rule["IpRanges"]]
    assert [(rule["FromPort"], rule["IpRanges"]) for rule in ssh] == [
        (22, [{"CidrIp": "198.51.100.4/32"}])
    ]
    folder = world / ".stacnet" / "lab"
    assert (folder / "auth_token").stat().st_mode & 0o777 == 0o600
    assert (folder / "tree" / "COMMIT").exists()
    asked = (world / "log").read_text()
    assert f"{folder}/tree" in asked
    assert f"-i {folder}/id_ed25519" in asked
    assert ray("get-head-ip", file)[1].strip().endswith(head["PublicIpAddress"])
    code, said = ray("exec", file, "stac status s3://lab-bucket/main")
    assert code == 0, said
    assert "stac status s3://lab-bucket/main" in (world / "log").read_text()
    under_a_search(world, file)
    code, said = ray("up", "--yes", file)
    assert code == 0, said
    assert [one["InstanceId"] for one in machines()] == [head["InstanceId"]]
    assert list(world.glob("ray-config-*")) == []
    volume = forgotten(head["Placement"]["AvailabilityZone"])
    code, said = ray("down", "--yes", file)
    assert code == 1
    assert f"error: lab: nothing must be left after down, got ['{volume}']" in said
    boto3.client("ec2").delete_volume(VolumeId=volume)
    code, said = ray("down", "--yes", file)
    assert code == 0, said
    assert "down; nothing is left" in said
    assert machines() == []
    assert set(groups()) == {"default"}
    assert boto3.client("ec2").describe_key_pairs()["KeyPairs"] == []
    assert boto3.client("iam").list_roles()["Roles"] == []


def forgotten(zone: str) -> str:
    """A disk of this cluster that no machine takes with it."""
    tags = [{"ResourceType": "volume", "Tags": [{"Key": "cluster", "Value": "lab"}]}]
    made = boto3.client("ec2").create_volume(AvailabilityZone=zone, Size=1, TagSpecifications=tags)
    return made["VolumeId"]


def under_a_search(world: Path, file: str) -> None:
    """A second `ray up` ends in one line and touches nothing."""
    (world / "busy").write_text(json.dumps(["stac search main"]))
    (world / "log").unlink()
    code, said = ray("up", "--yes", file)
    assert code == 1
    assert "error: lab: a cluster must not be restarted under a running search, got" in said
    assert "Traceback" not in said
    assert all("at-work" in line for line in (world / "log").read_text().splitlines())
    (world / "busy").write_text("[]")


def test_two_at_once_do_not_start_a_cluster(world: Path) -> None:
    (world / ".stacnet" / "stacnet").mkdir(parents=True)
    with (world / ".stacnet" / "stacnet" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, said = ray("up", "--yes", str(world / "cluster.yaml"))
    assert code == 1
    assert "error: stacnet: a cluster is started by one `ray up` at a time, got another" in said
    assert machines() == []
    assert not (world / "log").exists()


WRONG = (
    ("bucket: lab-bucket", "other: lab-bucket", "metadata.bucket must be given, got None"),
    ("region: us-west-2", "region: 7", "provider.region must match"),
    ("lab-bucket", "CHANGE-my-bucket", "every CHANGE must be changed, got CHANGE-my-bucket"),
    ("198.51.100.4/32", "home", "metadata.ssh_from must be an address, got 'home'"),
    ("cluster_name: stacnet", "cluster_name: a b", "cluster_name must match"),
)


def test_a_wrong_field_ends_ray_up_in_a_line_before_a_machine_is_paid_for(world: Path) -> None:
    for old, new, wanted in WRONG:
        assert old in edited()
        (world / "cluster.yaml").write_text(edited().replace(old, new))
        code, said = ray("up", "--yes", str(world / "cluster.yaml"))
        assert code == 1
        assert wanted in said
        assert "Traceback" not in said
        assert machines() == []
    assert boto3.client("ec2").describe_key_pairs()["KeyPairs"] == []


def test_a_cluster_is_not_started_from_a_cache_of_ray() -> None:
    plain = yaml.safe_load(edited())
    provider = AwsProvider(plain["provider"], "never made ready")
    for step in (lambda: provider.prepare_for_head_node(plain), provider.cleanup_cluster_resources):
        with pytest.raises(
            SystemExit, match="never made ready: Ray must read the YAML, not a cache"
        ):
            step()
