"""cluster/slurm.sbatch on a real Slurm, and the commands of cluster/sky.yaml, on two hosts."""

import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from hosts import ROOT, Host, hosts, need_hosts

from search.store.check import check
from search.store.lease import read_beat
from search.store.store import Store

# Hosts boot in the first test's set-up.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
IGNORED = shutil.ignore_patterns(".venv", ".uv", ".git", "out", "dist", "shared", "__pycache__")
ADDRESSES = {"one": "192.168.77.12", "two": "192.168.77.13"}
TOOLS = ("slurmctld", "slurmd", "sbatch")
SLURM = """
ClusterName=lab
SlurmctldHost=one
AuthType=auth/none
CredType=cred/none
SlurmUser=root
SlurmdUser=root
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
StateSaveLocation=/tmp/state
SlurmdSpoolDir=/tmp/spool
NodeName=one,two CPUs=1
PartitionName=all Nodes=ALL Default=YES State=UP
"""
STUDY = """
from dataclasses import replace

from searches import steady


def two(epochs=30):
    study = steady()
    space = replace(study.space, scales=(("off", 1), ("off",), ("off",)))
    return replace(study, space=space, protocol=replace(study.protocol, epochs=epochs))


def two_longer():
    return two(epochs=800)
"""


class Lab(NamedTuple):
    """Two hosts with a checkout each, and the folder that both see as /mnt/shared."""

    shared: Path
    one: Host
    two: Host


class Job(NamedTuple):
    """What Slurm and the search said, the environment of Ray, and which of its processes stayed."""

    facts: str
    log: str
    of_ray: str
    left: list[str]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Hosts that know each other by name, as the machines of a cluster do."""
    need_hosts()
    with hosts(tmp_path_factory.mktemp("jobs") / "net") as world:
        shared = world.folder / "shared"
        shutil.copytree(ROOT, shared / "checkout", ignore=IGNORED, symlinks=True)
        shutil.copy(ROOT / "tests" / "searches.py", shared)
        (shared / "study.py").write_text("import sys; sys.path.append('/mnt/shared')" + STUDY)
        names = "".join(f"{address} {name}\\n" for name, address in ADDRESSES.items())
        for name, address in ADDRESSES.items():
            host = world.start(name, address, cpus=1)
            host.run(f"printf '{names}' >> /etc/hosts; cp -a /mnt/shared/checkout/. ~/stacnet")
        yield Lab(shared, *world.alive.values())


@pytest.fixture(scope="module")
def job(lab: Lab) -> Job:
    """A job that is asked to end as soon as something trains, is requeued, and finishes."""
    need_slurm()
    (lab.shared / "slurm.conf").write_text(SLURM)
    for host in (lab.one, lab.two):
        host.run("echo 'export SLURM_CONF=/mnt/shared/slurm.conf' >> ~/.bashrc; mkdir /tmp/state")
        host.run("slurmctld; slurmd" if host is lab.one else "slurmd")
    squeue = lambda: lab.one.run("squeue -h -o %T").strip()  # noqa: E731
    until(lambda: lab.one.run("sinfo -h -o %T").strip() == "idle", "idle machines")
    sbatch = "sbatch --cpus-per-task=1 --output=/mnt/shared/slurm.log cluster/slurm.sbatch"
    lab.one.run(f"cd ~/stacnet; {sbatch} /mnt/shared/study.py:two_longer /mnt/shared/slurm")
    log, store = lab.shared / "slurm.log", Store(lab.shared / "slurm")
    until(lambda: (beat := read_beat(store.storage)) and beat.running, "work")
    of_ray = lab.one.run("tr '\\0' '\\n' < /proc/$(pidof -s raylet)/environ")
    for _ in range(3):  # what Slurm does at --signal=B:TERM@120; and somebody who is in a hurry
        lab.one.run("scancel --batch --signal=TERM 1; sleep 0.3")
    until(lambda: squeue() == "PENDING", "the requeue")
    (lab.shared / "study.py").write_text("raise ValueError('edited meanwhile')")
    lab.one.run("scontrol update jobid=1 StartTime=now")  # or it rests for two minutes
    until(lambda: not squeue(), "the end")
    left = lab.one.ray_processes() + lab.two.ray_processes()
    return Job(lab.one.run("scontrol show job 1"), log.read_text(), of_ray, left)


def need_slurm() -> None:
    """Skip where Slurm is not installed; fail if CI=true says that it is."""
    lost = [tool for tool in TOOLS if not shutil.which(tool)]
    if lost and os.environ.get("CI") == "true":
        pytest.fail(f"not installed: {lost}")
    if lost:
        pytest.skip(f"not installed: {lost}")


def until(true: Callable[[], Any], what: str, *, timeout_s: float = 600) -> None:
    """Wait for it."""
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, f"no {what} within {timeout_s} s"
        time.sleep(0.3)


def attempts(folder: Path) -> list[dict[str, Any]]:
    """Every attempt of the study in the folder, whose store must be whole."""
    store = Store(folder)
    assert not check(store)
    return store.trainings(["network_id", "status"], all_attempts=True).to_pylist()


def test_a_slurm_job_near_its_time_limit_ends_in_order_and_is_requeued(job: Job) -> None:
    assert "stopped: SIGTERM" in job.log
    assert "Restarts=1" in job.facts


def test_a_requeued_job_resumes_though_the_file_of_its_study_has_changed(job: Job) -> None:
    assert "JobState=COMPLETED" in job.facts, job.log
    assert "finished: 2 attempts" in job.log


def test_every_training_of_a_requeued_job_is_in_the_store_once(job: Job, lab: Lab) -> None:
    ended = Counter(row["status"] for row in attempts(lab.shared / "slurm"))
    assert ended["complete"] == 2
    assert ended["preempted"] == ended.total() - 2 > 0  # what trained when the signal came


def test_no_process_of_ray_is_left_when_a_slurm_job_has_ended(job: Job) -> None:
    assert not job.left


def test_ray_asks_for_a_token_in_a_slurm_job(job: Job) -> None:
    assert "RAY_AUTH_MODE=token" in job.of_ray
    assert re.search(r"RAY_AUTH_TOKEN=[0-9a-f]{64}\n", job.of_ray)


def test_skys_commands_search_on_two_machines_and_end_ray(lab: Lab) -> None:
    (lab.shared / "study.py").write_text("import sys; sys.path.append('/mnt/shared')" + STUDY)
    (lab.shared / "run.sh").write_text(
        yaml.safe_load((ROOT / "cluster/sky.yaml").read_text())["run"]
    )
    given = {"STUDY": "/mnt/shared/study.py:two", "OUT": "/mnt/shared/sky"}
    given |= {"SKYPILOT_NODE_IPS": "\n".join(ADDRESSES.values()), "RAY_AUTH_TOKEN": "ab" * 32}
    variables = " ".join(f"{name}='{value}'" for name, value in given.items())
    command = f"cd ~/stacnet; env {variables} SKYPILOT_NODE_RANK=%d bash /mnt/shared/run.sh"
    with lab.two.popen(command % 1) as other:
        try:
            said = lab.one.run(command % 0, timeout=240)
            until(lambda: other.poll() is not None, "end of the other", timeout_s=60)
        finally:
            other.kill()
    assert "finished: 2 attempts" in said
    assert other.returncode == 0
    until(lambda: not lab.one.ray_processes(), "end of Ray", timeout_s=30)
    assert [row["status"] for row in attempts(lab.shared / "sky")] == ["complete"] * 2
