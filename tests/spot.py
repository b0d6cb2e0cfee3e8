"""A spot machine that is taken away: the cloud's metadata server, and three real Ray nodes.

The server answers as EC2's (IMDSv2) and Compute Engine's do, on the loopback. The nodes are a head
without slots and two workers with one slot each, of which the first asks the server.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from searches import cheap

from search.drive.ray_session import private_environment
from search.drive.run import Options, search
from search.store.lease import read_beat
from search.store.store import Store
from search.study.study import Study

COLUMNS = ["status", "attempt", "epochs", "wall_s", "wasted_device_s", "error_type", "error_text"]
TOKEN = "AQAEAN"
ACTION = "/latest/meta-data/spot/instance-action"
PREEMPTED = "/computeMetadata/v1/instance/preempted"


class Metadata:
    """The server; `gone_at` is the time in the notice, None while there is none."""

    def __init__(self) -> None:
        self.gone_at: str | None = None
        self.broken = False
        self.asked: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                ttl = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds")
                good = self.path == "/latest/api/token" and ttl and int(ttl) <= 21600
                self.reply(200 if good else 400, TOKEN)

            def do_GET(self) -> None:
                self.reply(*server.answer(self.path, dict(self.headers)))

            def reply(self, code: int, text: str) -> None:
                server.asked.append(f"{self.command} {self.path}")
                self.send_response(500 if server.broken else code)
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def answer(self, path: str, headers: dict[str, str]) -> tuple[int, str]:
        """Status and text."""
        given = {name.lower(): value for name, value in headers.items()}
        if path == ACTION:
            if given.get("x-aws-ec2-metadata-token") != TOKEN:
                return 401, ""
            if self.gone_at is None:
                return 404, "not found"
            return 200, json.dumps({"action": "terminate", "time": self.gone_at})
        if path == PREEMPTED:
            if given.get("metadata-flavor") != "Google":
                return 403, ""
            return 200, "FALSE" if self.gone_at is None else "TRUE"
        return 404, ""

    def close(self) -> None:
        """It answers no more."""
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def nodes(folder: Path, metadata: Metadata) -> Iterator[tuple[Any, Any]]:
    """A head and two workers; the cluster, and the worker that asks the metadata server."""
    from ray.cluster_utils import Cluster

    folder.mkdir(parents=True, exist_ok=True)
    with private_environment(str(folder)):
        cluster = Cluster()
        try:
            cluster.add_node(num_cpus=0, include_dashboard=False)
            place = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://{metadata.host}"}
            keep_away = {"AWS_EC2_METADATA_DISABLED": "false"}
            spot = cluster.add_node(num_cpus=1, env_vars=place | keep_away)
            cluster.add_node(num_cpus=1)
            yield cluster, spot
        finally:
            cluster.shutdown()


def pair(*, epochs: int) -> Study:
    """Two trainings, one for each node."""
    study = cheap(epochs=epochs, seeds=(0,))
    space = replace(study.space, scales=(("off", 1), ("off",), ("off",)))
    return replace(study, name="pair", space=space)


def lose_a_node(
    folder: Path, *, epochs: int, notice: bool, after_s: float, warning_s: float
) -> list[dict[str, Any]]:
    """Search, and take the spot node away in the middle of its training.

    Args:
        folder: for everything.
        epochs: length of the two trainings.
        notice: whether the metadata server tells it before.
        after_s: how long both nodes have trained by then.
        warning_s: between the moment at which the notice is read and the end.

    Returns:
        The rows of all attempts, some columns.
    """
    metadata, out = Metadata(), folder / "study"
    with nodes(folder / "ray", metadata) as (cluster, spot):

        def take_away() -> None:
            wait_until(lambda: bool(metadata.asked) and len(begun(out)) == 2)
            time.sleep(after_s)
            if notice:
                metadata.gone_at = "2026-11-26T12:00:00Z"
                asked = len(metadata.asked)
                wait_until(lambda: len(metadata.asked) > asked)
            time.sleep(warning_s)
            with suppress(Exception):  # a drained node may be gone by itself
                cluster.remove_node(spot, allow_graceful=False)

        thread = threading.Thread(target=take_away)
        thread.start()
        try:
            options = Options(address=cluster.address, progress=False)
            search(pair(epochs=epochs), out, options=options)
        finally:
            thread.join()
            import ray

            ray.shutdown()
            metadata.close()
    columns = [
        "status",
        "attempt",
        "wall_s",
        "wasted_device_s",
        "error_type",
        "error_text",
        "epochs",
    ]
    return Store(out).trainings(columns, all_attempts=True).to_pylist()


def wait_until(happened: Callable[[], bool]) -> None:
    """Look five times a second; the test has a limit."""
    while not happened():
        time.sleep(0.2)


def begun(out: Path) -> set[str]:
    """Trainings that a worker has in hand, as the lease says."""
    with suppress(Exception):
        beat = read_beat(Store(out).storage)
        return set(beat.running) if beat else set()
    return set()
