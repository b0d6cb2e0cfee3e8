"""What a launcher asks a cluster's head, run there: who is at work; wait for devices."""

import argparse
import json
import logging
import sys
import time

import ray
from ray._raylet import GcsClient  # type: ignore[attr-defined]
from ray.autoscaler.sdk import request_resources

POLL_S = 1.0


def drivers() -> list[str]:
    """Command lines of the drivers that are connected to this machine's cluster, but for ours."""
    context = ray.get_runtime_context()
    jobs = GcsClient(address=context.gcs_address).get_all_job_info()
    ours = context.get_job_id()
    return [job.entrypoint for id, job in jobs.items() if not job.is_dead and id.hex() != ours]


def wait(*, gpus: int, cpus: int, timeout_s: float) -> str:
    """Ask the autoscaler for devices and return when they are there.

    The request is withdrawn at the end, so idle machines go after the cluster's idle timeout.

    Raises:
        TimeoutError: what there is, and what was wanted.
    """
    deadline = time.monotonic() + timeout_s
    request_resources(bundles=[{"GPU": 1}] * gpus + [{"CPU": 1}] * cpus)
    try:
        while True:
            found = ray.cluster_resources()
            have = f"{found.get('GPU', 0):g} GPUs, {found.get('CPU', 0):g} CPUs"
            if found.get("GPU", 0) >= gpus and found.get("CPU", 0) >= cpus:
                return have
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"wanted {gpus} GPUs, {cpus} CPUs in {timeout_s:g} s, got {have}"
                )
            time.sleep(POLL_S)
    finally:
        request_resources(bundles=[])


def main() -> int:
    """Answer on stdout; 1 with one line on stderr if it could not be done."""
    parser = argparse.ArgumentParser(prog="python -m search.on_head")
    parser.add_argument("question", choices=("drivers", "wait"))
    parser.add_argument("--gpus", type=int, default=0)
    parser.add_argument("--cpus", type=int, default=0)
    parser.add_argument("--timeout-s", type=float, default=600)
    asked = parser.parse_args()
    try:
        ray.init(address="auto", log_to_driver=False, logging_level=logging.ERROR)
        if asked.question == "drivers":
            print(json.dumps(drivers()))
        else:
            print(wait(gpus=asked.gpus, cpus=asked.cpus, timeout_s=asked.timeout_s))
    except (ConnectionError, TimeoutError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
