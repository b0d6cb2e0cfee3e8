"""A private Ray for the time of a run, or a connection to the cluster that was named."""

import logging
import os
import secrets
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from subprocess import Popen
from typing import Any

from search.drive import private
from search.drive.leftovers import cleaned_up
from search.drive.signals import held_back
from search.errors import StudyError

PREFIX = "stac-ray-"
PASSED_ON = ("AWS_", "STACNET_")  # environment variables that workers need like the driver
OF_A_MACHINE = "AWS_EC2_METADATA_"  # and those that say where each finds its own metadata server
ALWAYS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_prestart_worker_first_driver": "0",  # a slot gets a worker of its own, and waits for these
}
LOOK_EVERY_S = 0.5
START_S = 90.0
JOIN_S = 45.0
GRACE_S = 20.0  # to end in order; Ray's client would end this process after 60, with code 1
Complain = Callable[[StudyError], None]


def runtime_env(address: str | None) -> dict[str, Any]:
    """What workers get besides the code that is installed on their machines."""
    if address is None:
        return {}  # they inherit the driver's environment
    names = [name for name in os.environ if name.startswith(PASSED_ON)]
    return {"env_vars": {n: os.environ[n] for n in names if not n.startswith(OF_A_MACHINE)}}


@contextmanager
def ray_session(address: str | None, *, complain: Complain = lambda error: None) -> Iterator[None]:
    """Ray for the body: started here without address, joined with one; as it is if already up.

    A Ray started here has all cores of the machine, or `$STACNET_CPUS` of them. It listens on
    the loopback only, asks for a token, and writes into a folder that nobody else can enter.
    Signals that end this process do not reach it; it ends with the body, and with this process.

    Args:
        complain: called, from another thread, when a process of a Ray started here is gone.

    Raises:
        StudyError: Ray cannot be started or joined.
    """
    for name, value in ALWAYS.items():
        os.environ.setdefault(name, value)
    import ray

    if ray.is_initialized():
        yield
        return
    common: dict[str, Any] = {
        "namespace": "stacnet",
        "log_to_driver": False,
        "logging_level": logging.CRITICAL,
        "runtime_env": runtime_env(address),
    }
    if address is None:
        with _private(complain, num_cpus=lent_cpus(), **common):
            yield
        return
    try:
        _init(address=address, **common)
        yield
    finally:
        ray.shutdown()


@contextmanager
def _private(complain: Complain, **options: Any) -> Iterator[None]:
    import ray

    _sweep()
    folder = tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir="/tmp")
    with cleaned_up(folder), ExitStack() as stack:
        stack.callback(private.read_token_anew)  # a later session may have another one
        stack.callback(ray.shutdown)
        with private_environment(folder):
            _init(
                address="local",
                include_dashboard=False,
                object_store_memory=100_000_000,
                _temp_dir=f"{folder}/r",  # Ray opens its own folder to everybody
                **options,
            )
        processes = private.started_processes()
        for process in processes.values():
            process.terminate = process.kill  # they hold SIGTERM back, and Ray would wait for them
        stack.enter_context(_watched(processes, complain))
        yield


def _init(**options: Any) -> None:
    import ray

    where = options["address"]
    rule = "Ray must start here" if where == "local" else f"a cluster must answer at {where}"
    limit_s = START_S if where == "local" else JOIN_S
    late = StudyError(f"{rule} within {limit_s:.0f} s, got nothing")
    try:
        with held_back(), _quiet() as stderr, _ended_after(limit_s, late, stderr):
            ray.init(**options)
    except Exception as error:
        raise StudyError(f"{rule}, got {' '.join(str(error).split())[:300]}") from error
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    private.print_nothing()


@contextmanager
def _quiet() -> Iterator[int]:
    """Ray's C++ writes to the descriptor itself: that it has read its log level, among others."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield kept
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@contextmanager
def _ended_after(seconds: float, error: StudyError, stderr: int) -> Iterator[None]:
    """A body that is stuck in Ray's C++, where no exception reaches it, ends this process."""

    def end() -> None:
        os.write(stderr, f"stac: {error}\n".encode())
        os._exit(2)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextmanager
def _watched(processes: dict[str, Popen[bytes]], complain: Complain) -> Iterator[None]:
    """A thread looks whether they live, for as long as the body lasts."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(LOOK_EVERY_S):
            gone = [name for name, process in processes.items() if process.poll() is not None]
            if gone:
                error = StudyError(f"Ray must keep its processes to the end, got {gone[0]} killed")
                complain(error)
                with _ended_after(GRACE_S, error, 2):
                    ended.wait()

    thread = threading.Thread(target=watch, name="ray watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def private_environment(folder: str) -> Iterator[None]:
    """A token of its own and the loopback, for the Ray that is started in the body."""
    token = Path(folder) / "token"
    token.touch(0o600)
    token.write_text(secrets.token_hex(32))
    changed = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
    }
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    private.read_token_anew()
    try:
        with private.on_the_loopback(), private.without_watchers():
            yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def lent_cpus() -> int | None:
    """Cores that trials may use; None for all.

    Raises:
        StudyError: the environment variable is not a number of cores.
    """
    text = os.environ.get("STACNET_CPUS")
    if text is not None and not (text.isdigit() and int(text) > 0):
        raise StudyError(f"STACNET_CPUS must be at least 1 to train on this machine, got {text}")
    return int(text) if text else None


def _sweep() -> None:
    """Remove the folders of drivers that were killed with all that they had started."""
    for folder in Path("/tmp").glob(f"{PREFIX}*"):
        pid = folder.name.removeprefix(PREFIX).split("-")[0]
        with suppress(OSError, ValueError):
            if not Path(f"/proc/{int(pid)}").exists():
                shutil.rmtree(folder, ignore_errors=True)
