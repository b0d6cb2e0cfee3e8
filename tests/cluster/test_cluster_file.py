"""The two cluster files as they are committed, and files that are none."""

import re
import subprocess
import time
from dataclasses import replace
from os import defpath
from pathlib import Path

import pytest
import yaml
from hosts import need_hosts
from ray.autoscaler._private.autoscaler import AutoscalerSummary
from ray.autoscaler._private.load_metrics import LoadMetricsSummary
from ray.autoscaler._private.node_provider_availability_tracker import (
    NodeProviderAvailabilityTracker,
)
from ray.autoscaler._private.util import format_info_string, hash_runtime_conf
from ray.autoscaler.node_launch_exception import NodeLaunchException
from ray.autoscaler.v2.schema import ClusterStatus, LaunchRequest
from ray.autoscaler.v2.utils import ClusterStatusFormatter

from search.cluster.cluster import wait
from search.cluster.cluster_file import read_cluster
from search.cluster.on_head import launches
from search.errors import ClusterError

NO_CAPACITY = (
    "InsufficientInstanceCapacity",
    "We currently do not have sufficient g5.xlarge capacity in the Availability Zone you "
    "requested (us-west-2a).",
)
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["cluster.yaml", "cluster.local.yaml"])
def test_every_command_list_is_given_and_no_package_host_is_named(name):
    text = (ROOT / name).read_text()
    plain = yaml.safe_load(text)
    for field in (
        "initialization_commands",
        "setup_commands",
        "head_setup_commands",
        "worker_setup_commands",
        "head_start_ray_commands",
        "worker_start_ray_commands",
    ):
        assert isinstance(plain[field], list), field
    assert "http" not in text
    starts = plain["head_start_ray_commands"] + plain["worker_start_ray_commands"]
    assert all("RAY_AUTH_MODE=token" in line for line in starts if "ray start" in line)
    assert "--dashboard-host=127.0.0.1" in plain["head_start_ray_commands"][-1]


def test_a_file_that_is_no_cluster_is_refused_with_its_name(tmp_path):
    file = tmp_path / "x.yaml"
    file.write_text("cluster_name: x\nprovider: {type: gcp}\nauth: {ssh_private_key: k}\n")
    with pytest.raises(ClusterError, match=r"x\.yaml: a cluster needs the field 'ssh_user'"):
        read_cluster(file)
    for provider in ("{type: gcp}", "{type: aws, region: a}", "{type: external, module: x.Y}"):
        file.write_text(f"cluster_name: x\nprovider: {provider}\nauth: {{ssh_user: a}}")
        with pytest.raises(ClusterError, match=r"provider must be of type external with a module"):
            read_cluster(file)


def test_only_the_head_is_asked_before_ray_stops_and_no_environment_travels():
    for name in ("cluster.yaml", "cluster.local.yaml"):
        plain = yaml.safe_load((ROOT / name).read_text())
        first, second, *_ = plain["head_start_ray_commands"]
        assert first.endswith("-m search.cluster.on_head refuse-if-busy")
        assert second == plain["worker_start_ray_commands"][0] == "ray stop"
        assert {".venv", ".uv"} <= set(plain["rsync_exclude"])


@pytest.mark.parametrize("name", ["cluster.yaml", "cluster.local.yaml"])
def test_rays_autoscaler_does_not_read_the_environment_when_it_starts(name, tmp_path):
    """It hashes all that lies below the mounted folder: with .venv in it 15 s of a core."""
    (tmp_path / "stacnet").mkdir()
    commands = yaml.safe_load((ROOT / name).read_text())["setup_commands"]
    (link,) = [command for command in commands if "ln -s" in command]
    subprocess.run(["bash", "-c", link], env={"HOME": str(tmp_path), "PATH": defpath}, check=True)
    (tmp_path / "stacnet" / ".venv" / "torch.so").write_text("gigabytes")
    mounts = {"~/stacnet": str(tmp_path / "stacnet")}
    before = hash_runtime_conf(mounts, None, "one")
    (tmp_path / "stacnet" / ".venv" / "torch.so").write_text("other gigabytes")
    assert hash_runtime_conf(mounts, None, "two")[1] == before[1]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("cluster_name: desk", "cluster_name: ../../esc", r"cluster_name must match .*'\.\./"),
        ("cluster_name: desk", "cluster_name: 'a b'", r"cluster_name must match .*, got 'a b'"),
        ("cluster_name: desk", 'cluster_name: "a\\n"', r"cluster_name must match .*, got 'a\\n'"),
        ("cluster_name: desk", "cluster_name: no", r"cluster_name must match .*, got False"),
        ("ssh_user: ubuntu", "ssh_user: -oProxyCommand=id", r"auth\.ssh_user must match .*'-oPr"),
        ("ssh_user: ubuntu", "ssh_user: a@b", r"auth\.ssh_user must match .*, got 'a@b'"),
        ("head_ip: 192.168.77.11", "head_ip: -oX", r"provider\.head_ip must match .*, got '-oX'"),
        ("- 192.168.77.13", "- $(id)", r"provider\.worker_ips must match .*, got '\$\(id\)'"),
        ("- 192.168.77.13", "- 7", r"provider\.worker_ips must match .*, got 7"),
        (
            "type: external",
            "type: [local]",
            r"provider must be of type external .* type \['local'\]",
        ),
        ("module: search", "module: [a] #", r"provider must be of type external .*, \['a'\]"),
    ],
)
def test_a_name_that_could_be_a_path_or_an_option_is_refused_before_anything_is_made(
    old, new, said, tmp_path, monkeypatch
):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    text = re.sub(r" +# CHANGE:.*", "", (ROOT / "cluster.local.yaml").read_text())
    assert old in text
    file = tmp_path / "x.yaml"
    file.write_text(text.replace(old, new))
    with pytest.raises(ClusterError, match=rf"x\.yaml: {said}"):
        read_cluster(file)
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    "text", ["- 1", "7", "provider: [a]", "{provider: a, cluster_name: b}", ""]
)
def test_a_file_of_another_shape_is_refused_in_one_line(text, tmp_path):
    file = tmp_path / "x.yaml"
    file.write_text(text)
    with pytest.raises(ClusterError, match=r"x\.yaml: a cluster needs"):
        read_cluster(file)


def test_what_is_waited_for_is_a_number(tmp_path):
    with pytest.raises(ClusterError, match=r"must be at least 0, got gpus=0 cpus=0 timeout_s=nan"):
        wait(tmp_path / "x.yaml", timeout_s=float("nan"))


def test_the_cause_of_a_failed_launch_is_taken_from_the_report_of_either_autoscaler():
    """Both reports are made by Ray itself."""
    first = AutoscalerSummary(
        active_nodes={"head": 1},
        idle_nodes=None,
        pending_nodes=[("10.0.0.7", "gpu_spot", "waiting-for-ssh")],
        pending_launches={},
        failed_nodes=[],
        legacy=True,
    )
    empty = LoadMetricsSummary({}, [], [], [], node_types=[])
    said = launches(format_info_string(empty, first, verbose=True))
    waiting = "Pending: 10.0.0.7: gpu_spot, waiting-for-ssh Recent failures: (no failures)"
    assert said == waiting
    tracker = NodeProviderAvailabilityTracker()
    tracker.update_node_availability(
        "gpu_spot", int(time.time()), NodeLaunchException(*NO_CAPACITY, None)
    )
    first = replace(first, node_availability_summary=tracker.summary(), pending_nodes=[])
    said = launches(format_info_string(empty, first, verbose=True))
    assert re.search(r"gpu_spot: InsufficientInstanceCapacity .* \(us-west-2a\)", said), said
    failed = LaunchRequest(
        instance_type_name="g5.xlarge",
        ray_node_type_name="gpu_spot",
        count=1,
        state=LaunchRequest.Status.FAILED,
        request_ts_s=1,
        failed_ts_s=2,
        details="MaxSpotInstanceCountExceeded",
    )
    report = ClusterStatusFormatter.format(ClusterStatus(failed_launches=[failed]), verbose=True)
    assert re.search("Recent failures: gpu_spot: LaunchFailed .*MaxSpotInst", launches(report))
    assert launches("No cluster status.\n") == "No cluster status."


def test_hosts_that_cannot_be_made_are_a_failure_in_ci_and_a_skip_elsewhere(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match=r"not installed|need root"):
        need_hosts()
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception, match=r"not installed|need root"):
        need_hosts()
