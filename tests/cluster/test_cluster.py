"""A real `ray up` onto hosts out of namespaces: machines are lost, cut off, late; then the head."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from cluster_facts import Story
from cluster_scripts import SCRIPTS, guide_commands
from cluster_story import PATIENCE_S, tell
from hosts import ROOT, hosts, need_hosts

from search.store.check import check
from search.store.schema import DETERMINISTIC_CELLS, DETERMINISTIC_EPOCHS
from search.store.store import Store

pytestmark = pytest.mark.timeout(1800)  # the story is told in the first test's set-up
NOT_CODE = (".venv", ".uv", ".git", "out", "dist", "shared", ".library", "__pycache__")
CELLS = 12  # of the guide's 27 networks
ALONE_TOO = 6  # those with no attention in the first stage


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """The whole story, told once."""
    need_hosts()
    with hosts(tmp_path_factory.mktemp("cluster") / "net") as world:
        shared = world.folder / "shared"
        for name, text in SCRIPTS.items():
            (shared / name).write_text(text)
        (shared / "empty").write_bytes(bytes(5))  # the frame of a gRPC message without fields
        ignored = shutil.ignore_patterns(*NOT_CODE)
        shutil.copytree(ROOT, shared / "checkout", ignore=ignored, symlinks=True)
        alone = search_alone(shared)
        try:
            story = tell(world, Story(shared))
            assert alone.wait(timeout=PATIENCE_S) == 0, (shared / "alone.log").read_text()
        finally:
            alone.kill()
            alone.wait()
    return story


def search_alone(shared: Path) -> subprocess.Popen[bytes]:
    """A third of the study on this machine, outside of all hosts, in one slot."""
    command = [
        "setpriv",
        "--pdeathsig",
        "KILL",
        sys.executable,
        str(shared / "alone.py"),
        str(shared),
    ]
    with (shared / "alone.log").open("w") as log:
        environment = os.environ | {"PYTHONPATH": str(ROOT), "STACNET_CPUS": "1"}
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)


def rows(table: pa.Table, columns: tuple[str, ...], networks: set[str]) -> list[tuple[Any, ...]]:
    """Of these networks, as tuples, in an order that does not depend on who wrote them."""
    found = table.select(list(columns)).to_pylist()
    return sorted(tuple(row.values()) for row in found if row["network_id"] in networks)


def test_all_machines_that_are_on_join_with_token_authentication_on(story: Story) -> None:
    assert "2 CPUs" in story.joined


def test_the_head_sends_no_worker_its_own_environment(story: Story) -> None:
    assert story.head_sent_bytes < 100e6


def test_a_client_without_the_token_is_refused(story: Story) -> None:
    assert "InvalidAuthToken" in story.intruder
    assert "inside" not in story.intruder


def test_every_port_of_a_cluster_asks_for_the_token(story: Story) -> None:
    """What docs/security.md says: who listens, and that nobody does anything without it."""
    known = {"gcs_server", "raylet", "ray::RuntimeEnv", "sshd", "python"}
    assert {"gcs_server", "raylet", "sshd"} <= story.listening["head"] <= known | {"stac"}
    workers = {name for name in story.listening["one"] if name.startswith("ray::Slot")}
    assert {"raylet", "sshd"} <= story.listening["one"] - workers <= known
    assert workers
    for door, said in story.knocked.items():
        is_ssh = door.startswith("sshd")
        refused = "401 Unauthorized" in said or re.search(r"grpc-status: 16\b", said)
        assert bool(refused) != is_ssh, (door, said)
        assert "grpc-status: 0" not in said, (door, said)
        assert " 200 OK" not in said, (door, said)


def test_a_search_in_tmux_goes_on_when_its_command_is_over(story: Story) -> None:
    status = json.loads(story.in_tmux[story.in_tmux.index("{") :])
    assert status["complete"] == status["cells"] > 0


def test_preflight_has_a_line_for_each_fault_of_the_cluster(story: Story) -> None:
    expected = [
        "preflight: ",
        "devices: no GPU: each trial wants 1 CPUs and 1 GPUs",
        "versions on two: must equal the driver's, got code another (here ",
        *(f"storage on {name}: not shared: this machine and the driver" for name in ("one", "two")),
        *(f"data on {name}: cache missing: " for name in ("one", "two")),
    ]
    for start in expected:
        assert [line for line in story.faults if line.startswith(start)], (start, story.faults)
    assert len(story.faults) == len(expected)


def test_preflight_finds_no_fault_where_there_is_none(story: Story) -> None:
    assert "BAD " not in story.doctor
    for about in ("preflight", "storage on one", "storage on two", "versions on two"):
        assert f"ok   {about}: " in story.doctor


def test_preflight_says_that_the_token_is_missing(story: Story) -> None:
    assert [line[:15] for line in story.faults_without_token] == ["token: missing:"]


def test_the_study_trained_on_all_that_lend_cores_also_on_the_late_one(
    story: Story,
) -> None:
    assert story.hosts_with_rows() == {"one", "two", "late"}


def test_status_from_the_launcher_counts_trainings_while_the_search_runs(story: Story) -> None:
    assert story.status["cells"] == CELLS
    assert 2 <= story.status["complete"] < CELLS


def test_a_second_ray_up_is_refused_in_a_line_and_leaves_the_running_search_alone(
    story: Story,
) -> None:
    (line,) = [line for line in story.second_up.splitlines() if line.startswith("error: ")]
    assert "must not be restarted under a running search" in line
    assert "stac search /mnt/shared/study.py:placements" in line
    assert story.second_up.rstrip().endswith("code 1")
    assert "Traceback" not in story.second_up
    assert "late" in story.hosts_with_rows()  # it trained on


def test_the_head_refuses_to_stop_ray_whoever_asks(story: Story) -> None:
    assert "Ray must not be stopped under a running search" in story.second_guard
    assert story.second_guard.rstrip().endswith("code 2")


def test_ray_attach_is_a_shell_with_stac_and_ray_submit_a_driver_on_the_cluster(
    story: Story,
) -> None:
    assert '"complete": ' in story.attached, story.attached
    assert '"cluster": "Pending: ' in story.attached, story.attached
    cpus, rows = re.findall(r"COUNTED (\d+) (\d+)", story.submitted)[0]
    assert int(cpus) >= 1
    assert int(rows) >= 1


def test_a_second_search_says_whom_it_is_behind_and_is_stopped_by_its_name(story: Story) -> None:
    beside = r"gets what is free beside \S+: stac search /mnt/shared/study.py:placements"
    assert re.search(beside, story.second_search), story.second_search
    assert "another: ended with exit code" in story.stopped
    assert story.runs[0]["state"] == "running"
    assert "ended" in story.runs[1]["state"]


def test_devices_that_do_not_come_are_told_with_what_the_autoscaler_knows(story: Story) -> None:
    assert "wanted 9 GPUs, 0 CPUs in 1 s, got 0 GPUs" in story.too_many
    assert "the autoscaler says: Pending: " in story.too_many
    assert "Recent failures:" in story.too_many
    assert "code 1" in story.too_many


def test_the_head_was_lost_before_the_study_was_done_and_resume_finished_it(story: Story) -> None:
    assert story.done_at_head_loss < CELLS
    assert "joining Ray at auto" in story.resumed
    assert "finished" in story.resumed, story.resumed


def test_every_training_is_there_once_and_complete(story: Story) -> None:
    trainings = story.trainings(["network_id", "seed", "status"])
    assert check(Store(story.shared / "study")) == []
    assert Counter(row["status"] for row in trainings) == {"complete": CELLS}
    assert len({(row["network_id"], row["seed"]) for row in trainings}) == CELLS


def test_what_was_lost_with_a_machine_is_not_held_against_its_training(story: Story) -> None:
    every = story.trainings(["status", "error_type"], all_attempts=True)
    lost = Counter(row["error_type"] for row in every if row["status"] == "preempted")
    assert lost["node"] >= 1  # the machine that was killed in the middle of a training
    assert set(lost) <= {"node", "driver"}  # the head's, if its last heartbeat knew of any
    assert {row["status"] for row in every} == {"complete", "preempted"}


def test_no_training_was_trained_to_the_end_twice(story: Story) -> None:
    every = story.trainings(["network_id", "seed", "status"], all_attempts=True)
    complete = [(row["network_id"], row["seed"]) for row in every if row["status"] == "complete"]
    assert len(complete) == len(set(complete))


def test_the_table_equals_that_of_one_machine_on_the_deterministic_columns(story: Story) -> None:
    here, there = Store(story.shared / "study"), Store(story.shared / "alone")
    both = set(there.trainings(["network_id"])["network_id"].to_pylist())
    assert len(both) == ALONE_TOO
    for columns, read in (
        (DETERMINISTIC_CELLS, Store.trainings),
        (DETERMINISTIC_EPOCHS, Store.epochs),
    ):
        assert rows(read(here), columns, both) == rows(read(there), columns, both)


def test_every_row_names_the_commit_of_the_snapshot_that_was_mounted(story: Story) -> None:
    commits = {row["code_commit"] for row in story.trainings(["code_commit"])}
    assert len(commits) == 1
    assert len(commits.pop() or "") == 40


def test_a_study_on_s3_is_written_by_the_workers_and_read_from_the_launcher(story: Story) -> None:
    written = story.on_s3.partition("ROWS ")[2]
    assert written.count("'status': 'complete'") == 4, story.on_s3


def test_the_guides_price_table_gives_a_cost(story: Story) -> None:
    money = re.search(r"money +([0-9.e-]+)", story.costs)
    assert money, story.costs
    assert float(money.group(1)) > 0


def test_down_leaves_no_ray_process_and_names_the_machine_it_cannot_see(story: Story) -> None:
    assert story.ray_left == {"launcher": [], "head": [], "two": [], "late": []}
    assert "not seen: 192.168.77.12" in story.down


def test_every_command_of_the_guide_was_run_as_it_is_written_there(story: Story) -> None:
    assert set(guide_commands()) <= set(story.ran)
