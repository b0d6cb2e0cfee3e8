"""What a launcher asks a cluster's head, run there: who is at work, devices, the runs."""

import argparse
import json
import logging
import os
import socket
import sys
import time
from pathlib import Path
from typing import Any

from search.cluster import runs
from search.drive import private
from search.errors import ClusterError

POLL_S = 1.0
NAME = "search.cluster.on_head"
PROBE_S = 5.0
START_S = 5.0  # a search that dies at once does so within this time
LAST_LINES = 20
NODES = "Pending:"  # where Ray's own report says what is launched, what failed, and why
AFTER_NODES = "\n\n"


def at_work() -> list[str]:
    """The runs at work here, and the command lines of other drivers on this machine's cluster.

    Raises:
        ConnectionError: there is neither a run nor a Ray that answers.
        ClusterError: Ray answers, but not to us (another token).
    """
    from ray.exceptions import RayError

    ours = runs.running()
    pids = {run.pid for run in ours}
    try:
        jobs = _gcs().get_all_job_info().values()
    except RayError as error:
        raise ClusterError(f"Ray must say who is at work, got: {error}") from None
    except ConnectionError:
        if not ours:
            raise
        jobs = []
    others = [job for job in jobs if not job.is_dead and job.driver_pid not in pids]
    others = [job.entrypoint for job in others if NAME not in job.entrypoint]
    return [*(run.title for run in ours), *others]


def refuse_if_busy() -> None:
    """What `ray up` must ask before it stops Ray.

    Raises:
        ClusterError: something is at work.
    """
    try:
        busy = at_work()
    except ConnectionError:
        return
    if busy:
        raise ClusterError(
            f"Ray must not be stopped under a running search, got {busy}; "
            "wait for it, or `stac cluster stop` it and resume later"
        )


def wait(*, gpus: int, cpus: int, timeout_s: float) -> str:
    """Ask the autoscaler for devices and return when they are there; say meanwhile what there is.

    The request is withdrawn at the end, so idle machines go after the cluster's idle timeout.

    Raises:
        TimeoutError: what there is, what was wanted, and what the autoscaler says of it.
    """
    import ray
    from ray.autoscaler.sdk import request_resources

    ray.init(address="auto", log_to_driver=False, logging_level=logging.ERROR)
    deadline, told = time.monotonic() + timeout_s, ""
    request_resources(bundles=[{"GPU": 1}] * gpus + [{"CPU": 1}] * cpus)
    try:
        while True:
            found = ray.cluster_resources()
            have = f"{found.get('GPU', 0):g} GPUs, {found.get('CPU', 0):g} CPUs"
            if found.get("GPU", 0) >= gpus and found.get("CPU", 0) >= cpus:
                return have
            why = launches_now()
            if time.monotonic() > deadline:
                wanted = f"wanted {gpus} GPUs, {cpus} CPUs in {timeout_s:g} s, got {have}"
                raise TimeoutError(f"{wanted}; the autoscaler says: {why}")
            if (told, told := f"{have}; {why}")[0] != told:
                print(told, file=sys.stderr, flush=True)
            time.sleep(POLL_S)
    finally:
        request_resources(bundles=[])


def launches_now() -> str:
    """What the autoscaler of this machine's cluster launches, and what it last could not, and why.

    Raises:
        ConnectionError: there is none.
    """
    return launches(private.autoscaler_report(_gcs()))


def launches(report: str) -> str:
    """What Ray's status report says of launches that are pending or failed, in one line."""
    found = report.partition(NODES)[2].partition(AFTER_NODES)[0]
    return " ".join(f"{NODES}{found}".split()) if found else " ".join(report.split())


def _gcs() -> Any:
    """A client of this machine's cluster.

    Raises:
        ConnectionError: nobody listens there; Ray's own client would try for a minute.
        ClusterError: somebody does, and this user has no token.
    """
    address = private.head_address()
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=PROBE_S).close()
    except OSError as error:
        raise ConnectionError(f"Ray must answer at {address}, got: {error}") from None
    if os.environ.get("RAY_AUTH_MODE") == "token" and not private.has_token():
        rule = "a cluster wants its token"  # without it Ray's client would end this process
        raise ClusterError(f"{rule}, got none in RAY_AUTH_TOKEN or ~/.ray/auth_token")
    return private.head_client(address)


def submit(words: list[str]) -> int:
    """Start a run; print who is before it, how it began, and at last its name.

    Slots go to who comes first: a search keeps those it holds until it owes too little for them.
    """
    for other in at_work():
        print(f"gets what is free beside {other}", flush=True)
    run = runs.start(words, stac=[str(Path(sys.executable).with_name("stac"))])
    deadline = time.monotonic() + START_S
    while run.runs and time.monotonic() < deadline:
        time.sleep(runs.POLL_S / 5)
    runs.show(run, lines=LAST_LINES, follow=False)
    print(f"\n{run.title}: {run.state}")
    return run.exit or 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m search.cluster.on_head")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("at-work")
    verbs.add_parser("refuse-if-busy")
    verbs.add_parser("runs")
    waiting = verbs.add_parser("wait")
    waiting.add_argument("--gpus", type=int, default=0)
    waiting.add_argument("--cpus", type=int, default=0)
    waiting.add_argument("--timeout-s", type=float, default=600)
    for verb in ("submit", "keep"):
        verbs.add_parser(verb).add_argument("words", nargs=argparse.REMAINDER)
    for verb in ("log", "stop"):
        one = verbs.add_parser(verb)
        one.add_argument("--run")
        one.add_argument("--lines", type=int, default=LAST_LINES)
        one.add_argument("--follow", action="store_true")
    return parser


def answer(asked: argparse.Namespace) -> int:
    """Do what is asked; returns the exit code."""
    match asked.verb:
        case "at-work":
            print(json.dumps(at_work()))
        case "refuse-if-busy":
            refuse_if_busy()
        case "wait":
            print(wait(gpus=asked.gpus, cpus=asked.cpus, timeout_s=asked.timeout_s))
        case "submit":
            return submit(asked.words)
        case "keep":
            runs.keep(Path(asked.words[0]), asked.words[1:])
        case "runs":
            print(json.dumps([run.facts() for run in runs.every()]))
        case "log":
            run = runs.find(asked.run)
            runs.show(run, lines=asked.lines, follow=asked.follow)
            print(f"\n{run.title}: {run.state}")
        case "stop":
            run = runs.stop(asked.run)
            print(f"{run.title}: {run.state}")
    return 0


def main() -> int:
    """Answer on stdout; one line on stderr and 1 (it failed) or 2 (wrong use) if there is none."""
    try:
        return answer(_parser().parse_args())
    except (ValueError, OSError) as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 2 if isinstance(error, ClusterError) else 1


if __name__ == "__main__":
    sys.exit(main())
