"""A study on a real S3 server: killed and resumed, and with the server gone for 20 seconds."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from typing import Any

import boto3
import pytest
import yaml
from official_data import write_cifar10
from searches import ROOT, cheap, descendants

from search.drive import run
from search.drive.run import Options
from search.store.schema import DETERMINISTIC_CELLS, DETERMINISTIC_EPOCHS
from search.store.store import Store
from search.study.study import Study
from stacnet.data.images import load
from stacnet.data.prepare import open_source, prepare
from stacnet.data_spec import Prepared

BUCKET = "s3://studies"
OUTAGE_S = 20
CELLS = 9
PATIENCE_S = 240


class Gate:
    """A port in front of the server that can be shut: connections are cut, new ones refused.

    The server keeps its objects in memory, so it must not go away itself.
    """

    def __init__(self, server: tuple[str, int]) -> None:
        self._server = server
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = self._listener.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    def shut(self) -> None:
        """From now on nobody gets through."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for end in list(self._open):
            _close(end)

    def open(self) -> None:
        """As before, on the same port."""
        self._listener = socket.create_server(self.address)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._server)
            except OSError:
                return
            self._open |= {client, server}
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        _close(source)
        _close(sink)
        self._open -= {source, sink}


def _close(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    """moto's S3 server in a process of its own, behind a gate; the environment points to it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with (tmp_path_factory.mktemp("s3") / "server.log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    with pytest.MonkeyPatch.context() as patch:
        try:
            until(lambda: _listens(port), "the server to listen")
            gate = Gate(("127.0.0.1", port))
            patch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{gate.address[1]}")
            patch.setenv("AWS_ACCESS_KEY_ID", "testing")
            patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
            patch.setenv("AWS_REGION", "us-east-1")
            boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="studies")
            yield gate
        finally:
            server.kill()
            server.wait()


def few() -> Study:
    """Nine networks, one seed."""
    study = cheap(epochs=6, seeds=(0,))
    space = replace(study.space, scales=(("off", 1, 2), ("off", 1, 2), ("off",)))
    return replace(study, name="few", space=space)


@pytest.fixture(scope="module")
def unbroken(gate: Gate) -> Store:
    """The study, run without trouble, and without Ray."""
    store = Store(f"{BUCKET}/unbroken")
    options = Options(in_process=True, progress=False)
    assert run.search(few(), store.address, options=options).finished
    return store


def search(store: Store) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """`stac search`, in a session of its own, until the end of the block."""
    return stac("search", f"{__file__}:few", "--out", store.address)


def resume(store: Store) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """`stac resume`, in a session of its own, until the end of the block."""
    return stac("resume", store.address)


@contextmanager
def stac(*words: str) -> Iterator[subprocess.Popen[bytes]]:
    """In one slot: a second one costs more time to start than it saves."""
    command = [sys.executable, "-c", "from stac.cli.main import main; main()", *words]
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    environment = os.environ | {"PYTHONPATH": path, "STACNET_CPUS": "1"}
    driver = subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True)
    try:
        yield driver
    finally:
        kill_all(driver)


def kill_all(driver: subprocess.Popen[bytes]) -> None:
    """SIGKILL to the driver and all that it started."""
    for pid in (driver.pid, *descendants(driver.pid)):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    driver.wait()


def until(true: Callable[[], bool], what: str, *, timeout_s: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, f"waited {timeout_s} s for {what}"
        time.sleep(0.1)


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def rows(store: Store) -> tuple[list[Any], list[Any]]:
    trainings = store.trainings(DETERMINISTIC_CELLS).to_pylist()
    epochs = store.epochs(DETERMINISTIC_EPOCHS).to_pylist()
    return sorted(map(str, trainings)), sorted(map(str, epochs))


def statuses(store: Store) -> Counter[str]:
    every = store.trainings(["status"], all_attempts=True)
    return Counter(every["status"].to_pylist())


def some_trainings(store: Store, driver: subprocess.Popen[bytes]) -> None:
    """Wait until the study is under way, but not done."""
    under_way = lambda: driver.poll() is not None or len(store.part_names("cells")) >= 2  # noqa: E731
    until(under_way, "two trainings")
    assert store.trainings(["seed"]).num_rows < CELLS


def test_a_study_on_s3_has_every_training_once(unbroken):
    assert statuses(unbroken) == {"complete": CELLS}
    assert unbroken.study() == few()


def test_prepared_images_reach_a_worker_by_the_commands_of_guide_and_cluster_file(gate, tmp_path):
    """Upload as docs/cluster.md has it, download as cluster.yaml has it, in another home."""
    guide = (ROOT / "docs" / "cluster.md").read_text()
    upload = next(line for line in guide.splitlines() if "copy_files('$HOME" in line)
    plain = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    download = plain["worker_setup_commands"][0].replace("CHANGE-my-bucket", "studies")
    laptop, worker = tmp_path / "laptop", tmp_path / "worker"
    write_cifar10(tmp_path / "official")
    prepare(open_source(tmp_path / "official"), laptop / ".cache" / "stacnet" / "cifar")
    (worker / ".cache").mkdir(parents=True)
    for home, command in ((laptop, upload.replace("my-bucket", "studies")), (worker, download)):
        command = re.sub(r"(~/stacnet/.venv/bin/)?python -c", f"{sys.executable} -c", command)
        subprocess.run(["bash", "-ec", command], check=True, env=os.environ | {"HOME": str(home)})
    fetched = load(Prepared(name="cifar"), folder=worker / ".cache" / "stacnet")
    assert len(fetched.test.labels_N) == 40


def test_a_killed_study_on_s3_is_finished_by_resume_and_equals_the_unbroken_one(unbroken):
    store = Store(f"{BUCKET}/killed")
    with search(store) as driver:
        some_trainings(store, driver)
        kill_all(driver)
    with resume(store) as driver:
        assert driver.wait(PATIENCE_S) == 0
    assert statuses(store)["complete"] == CELLS
    assert rows(store) == rows(unbroken)


def test_a_study_outlives_a_server_that_is_gone_for_twenty_seconds(unbroken, gate):
    store = Store(f"{BUCKET}/outage")
    with search(store) as driver:
        some_trainings(store, driver)
        gate.shut()
        time.sleep(OUTAGE_S)
        assert driver.poll() is None
        gate.open()
        assert store.trainings(["seed"]).num_rows < CELLS
        assert driver.wait(PATIENCE_S) == 0
    assert statuses(store) == {"complete": CELLS}
    assert rows(store) == rows(unbroken)
