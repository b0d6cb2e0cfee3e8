"""Runs on a cluster's head, with a program in stac's place: begun, found, followed, stopped."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from search.cluster import on_head, runs
from search.cluster.runs import Run
from search.errors import ClusterError

# They are meant to outlive whoever starts them.
pytestmark = pytest.mark.filterwarnings("ignore:subprocess [0-9]+ is still:ResourceWarning")
IN_ORDER = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (print("checkpoints written", flush=True), sys.exit(3)))
print("begun", flush=True)
time.sleep(60)
"""
Start = Callable[..., Run]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Start]:
    """Starts a program as a run of an own head, on which no Ray is; what is left is killed."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")  # nobody listens there
    begun = []

    def start(code: str, *words: str) -> Run:
        begun.append(runs.start(list(words), stac=[sys.executable, "-c", code]))
        return begun[-1]

    yield start
    for run in begun:
        if run.runs:
            os.kill(pid(run), signal.SIGKILL)


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def pid(run: Run) -> int:
    """Of its program, once that has begun."""
    until(lambda: run.pid)
    assert run.pid
    return run.pid


def said(run: Run) -> str:
    return (run.folder / "log").read_text()


def test_a_run_leaves_its_command_its_log_and_its_exit_code(start: Start) -> None:
    run = start("import sys; print(sys.argv[1:]); sys.exit(7)", "search", "my study")
    until(lambda: not run.runs)
    assert (run.exit, run.state) == (7, "ended with exit code 7")
    assert "['search', 'my study']" in said(run)
    assert run.title == f"{run.folder.name}: stac search 'my study'"
    assert run.facts()["command"] == "stac search 'my study'"


def test_two_runs_of_one_second_have_two_folders(start: Start) -> None:
    found = [start("print(1)", str(number)) for number in range(5)]
    assert [run.words for run in runs.every()] == [run.words for run in found]
    assert len({run.folder for run in found}) == 5


def test_a_signal_to_all_of_a_runs_processes_leaves_its_exit_code(start: Start) -> None:
    run = start(IN_ORDER)
    until(lambda: "begun" in said(run))
    os.killpg(os.getpgid(pid(run)), signal.SIGTERM)
    until(lambda: not run.runs)
    assert run.exit == 3
    assert "checkpoints written" in said(run)


def test_a_program_that_was_killed_leaves_the_shells_exit_code(start: Start) -> None:
    run = start("import os; os.kill(os.getpid(), 9)")
    until(lambda: not run.runs)
    assert run.exit == 137


def test_a_run_whose_keeper_was_killed_runs_on_and_then_counts_as_lost(start: Start) -> None:
    run = start(IN_ORDER)
    until(lambda: "begun" in said(run))
    os.kill(os.getpgid(pid(run)), signal.SIGKILL)  # the keeper leads their group
    time.sleep(0.1)
    assert run.state == "running"
    os.kill(pid(run), signal.SIGKILL)
    until(lambda: not run.runs)
    assert run.state == "lost"


def test_stop_ends_the_one_that_runs_in_order(start: Start) -> None:
    start("print(1)", "short")
    run = start(IN_ORDER, "long")
    until(lambda: "begun" in said(run) and len(runs.running()) == 1)
    assert runs.stop(None) == run
    assert run.exit == 3
    assert "checkpoints written" in said(run)


def test_stop_wants_a_name_if_two_run_and_a_run_that_runs(start: Start) -> None:
    with pytest.raises(ClusterError, match=r"one run must be named or be the only one .*got \[\]"):
        runs.stop(None)
    first, second = start(IN_ORDER, "a"), start(IN_ORDER, "b")
    with pytest.raises(ClusterError, match=r"must be named .*: stac a', .*: stac b'"):
        runs.stop(None)
    with pytest.raises(ClusterError, match=r"\.\./x must run to be stopped, got"):
        runs.stop("../x")
    until(lambda: "begun" in said(second))
    assert runs.stop(second.folder.name) == second
    assert first.runs


def test_a_run_that_does_not_stop_is_named_with_its_process(start: Start) -> None:
    run = start(
        "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True);"
        "time.sleep(60)"
    )
    until(lambda: "deaf" in said(run))
    with pytest.raises(ClusterError, match=rf"must end within 0\.3 s, got pid {run.pid}"):
        runs.stop(None, timeout_s=0.3)


def test_the_newest_that_runs_is_meant_else_the_newest_else_a_name_is_needed(start: Start) -> None:
    with pytest.raises(ClusterError, match=r"a run must have been submitted, got \[\]"):
        runs.find(None)
    long, short = start(IN_ORDER, "long"), start("print(1)", "short")
    until(lambda: not short.runs)
    assert runs.find(None) == long
    assert runs.find(short.folder.name) == short
    os.kill(pid(long), signal.SIGKILL)
    until(lambda: not long.runs)
    assert runs.find(None) == short
    with pytest.raises(ClusterError, match=r"the run \.\. must have been submitted"):
        runs.find("..")


def test_a_followed_run_is_shown_to_its_end(
    start: Start, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ear, mouth = os.pipe()
    with os.fdopen(ear) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        code = "import time\nfor i in range(9): print(i, flush=True); time.sleep(0.1)"
        runs.show(start(code), lines=2, follow=True)
        assert capsys.readouterr().out.split()[-1] == "8"
        long = start(IN_ORDER)
        os.close(mouth)  # the launcher has gone: nobody looks any more
        runs.show(long, lines=2, follow=True)
        assert long.runs


def test_a_head_with_a_run_is_busy_and_one_with_none_and_without_ray_is_not(
    start: Start, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["on_head", "refuse-if-busy"])
    assert on_head.main() == 0
    with pytest.raises(ConnectionError, match=r"Ray must answer at .*:9, got: .*refused"):
        on_head.at_work()
    run = start(IN_ORDER, "search", "x")
    assert on_head.at_work() == [run.title]
    assert on_head.main() == 2
    refused = capsys.readouterr().err
    assert refused.startswith("Ray must not be stopped under a running search, got")
    assert "stac search x" in refused
    monkeypatch.setattr(sys, "argv", ["on_head", "runs"])
    assert on_head.main() == 0
    assert [fact["state"] for fact in json.loads(capsys.readouterr().out)] == ["running"]
