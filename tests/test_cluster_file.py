"""The two cluster files as they are committed, and files that are none."""

from pathlib import Path

import pytest
import yaml
from hosts import need_hosts

from search.cluster_file import read_cluster
from search.errors import ClusterError

ROOT = Path(__file__).parents[1]


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
    file.write_text("cluster_name: x\nprovider: {type: gcp}\nauth: {ssh_user: a}\n")
    with pytest.raises(ClusterError, match=r"x\.yaml: a cluster needs the field 'ssh_private_key'"):
        read_cluster(file)
    file.write_text(
        "cluster_name: x\nprovider: {type: gcp}\nauth: {ssh_user: a, ssh_private_key: k}"
    )
    with pytest.raises(ClusterError, match=r"provider\.type must be local or aws, got gcp"):
        read_cluster(file)


def test_hosts_that_cannot_be_made_are_a_failure_in_ci_and_a_skip_elsewhere(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match=r"not installed|need root"):
        need_hosts()
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception, match=r"not installed|need root"):
        need_hosts()
