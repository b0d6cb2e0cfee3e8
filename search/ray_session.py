"""A private Ray for the time of a run, or a connection to the cluster that was named."""

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from search.errors import StudyError

PREFIX = "stac-ray-"
PASSED_ON = ("AWS_", "STACNET_")  # environment variables that workers need like the driver


def runtime_env(address: str | None) -> dict[str, Any]:
    """What workers get besides the code that is installed on their machines."""
    if address is None:
        return {}  # they inherit the driver's environment
    variables = {name: value for name, value in os.environ.items() if name.startswith(PASSED_ON)}
    return {"env_vars": variables}


@contextmanager
def ray_session(address: str | None) -> Iterator[None]:
    """Ray for the body: started here without address, joined with one; as it is if already up.

    A Ray started here has all cores of the machine, or `$STACNET_CPUS` of them. Nothing is written
    outside a private folder below the temporary folder, which is removed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    if ray.is_initialized():
        yield
        return
    common: dict[str, Any] = {
        "namespace": "stacnet",
        "log_to_driver": False,
        "logging_level": logging.ERROR,
        "runtime_env": runtime_env(address),
    }
    folder = None
    try:
        if address is None:
            _sweep()
            folder = tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir="/tmp")
            ray.init(
                address="local",
                num_cpus=_lent_cpus(),
                include_dashboard=False,
                object_store_memory=100_000_000,
                _temp_dir=folder,
                **common,
            )
        else:
            ray.init(address=address, **common)
        logging.getLogger("ray").setLevel(logging.ERROR)
        yield
    finally:
        ray.shutdown()
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


def _lent_cpus() -> int | None:
    """Cores that trials may use; None for all.

    Raises:
        StudyError: the environment variable is not a number of cores.
    """
    text = os.environ.get("STACNET_CPUS")
    if text is not None and not (text.isdigit() and int(text) > 0):
        raise StudyError(f"STACNET_CPUS must be at least 1 to train on this machine, got {text}")
    return int(text) if text else None


def _sweep() -> None:
    """Remove the folders of killed drivers."""
    for folder in Path("/tmp").glob(f"{PREFIX}*"):
        pid = folder.name.removeprefix(PREFIX).split("-")[0]
        with suppress(OSError, ValueError):
            if not Path(f"/proc/{int(pid)}").exists():
                shutil.rmtree(folder, ignore_errors=True)
