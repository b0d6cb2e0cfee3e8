"""What befalls a search in faults.py: kills, sleep, a bad object store, a clock that jumps.

Run as a script it is a driver whose time of day jumps: fault_kinds.py OUT STUDY.
"""

import http.client
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))
from searches import (  # noqa: E402  # pyright: ignore[reportMissingImports]
    Driver,
    descendants,
    lives,
    main,
    workers,
)

Target = Literal["driver", "driver and all", "worker", "raylet", "gcs_server"]
S3_FAULTS = ("cut", "slow", "truncated", "500", "503", "stale list")
HOP = ("expect", "transfer-encoding", "content-length", "connection")  # not passed on
Answer = tuple[int, list[tuple[str, str]], bytes]
QUIET_S = 20.0  # what a driver leaves behind must be gone by then


def strike(driver: Driver, target: Target) -> None:
    """SIGKILL to one process, or to all."""
    below = descendants(driver.process.pid)
    match target:
        case "driver":
            pids = [driver.process.pid]
        case "driver and all":
            pids = [driver.process.pid, *below]
        case "worker":
            pids = workers(driver.process.pid)[:1]
        case "raylet" | "gcs_server":
            pids = [pid for pid in below if Path(f"/proc/{pid}/exe").resolve().name == target]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def left_over(pids: list[int]) -> int:
    """How many of the processes are alive after a while that is long enough to end."""
    deadline = time.monotonic() + QUIET_S
    while any(map(lives, pids)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return sum(map(lives, pids))


@dataclass
class BadServer:
    """An S3 server (moto's) behind a proxy that spoils a share of the requests.

    Args:
        share: of requests that are spoiled.
        most: spoiled requests; then it behaves.
    """

    rng: random.Random
    share: float
    most: int
    counts: dict[str, int] = field(default_factory=dict)
    _lists: dict[str, Answer] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def fault(self, method: str, path: str) -> str:
        """What befalls this request; empty for nothing."""
        is_list = method == "GET" and "list-type" in path
        with self._lock:
            if sum(self.counts.values()) >= self.most or self.rng.random() > self.share:
                return ""
            kind = self.rng.choice(S3_FAULTS)
            if (kind == "stale list" and path not in self._lists) or (
                kind == "stale list" and not is_list
            ):
                kind = "500"
            if kind == "truncated" and method != "GET":
                kind = "cut"
            self.counts[kind] = self.counts.get(kind, 0) + 1
            return kind

    def listing(self, path: str, new: Answer) -> Answer:
        """The listing before the newest one."""
        old = self._lists.get(path, new)
        self._lists[path] = new
        return old

    @contextmanager
    def running(self, log: Path) -> Iterator[str]:
        """Its address."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        with log.open("w") as file:
            server = subprocess.Popen(command, stdout=file, stderr=file)
        handler = type("Bound", (Handler,), {"bad": self, "port": port})
        proxy = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        proxy.handle_error = lambda request, client_address: None
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        try:
            while socket.socket().connect_ex(("127.0.0.1", port)):
                time.sleep(0.2)
            yield f"http://127.0.0.1:{proxy.server_port}"
        finally:
            proxy.shutdown()
            server.kill()
            server.wait()


class Handler(BaseHTTPRequestHandler):
    """Passes requests on; `bad` and `port` are given by a subclass."""

    protocol_version = "HTTP/1.1"
    bad: BadServer
    port: int

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is printed."""

    def forward(self) -> None:
        """To the server and back, or not."""
        body = self.body()
        kind = self.bad.fault(self.command, self.path)
        if kind == "slow":
            time.sleep(3)
        if kind == "cut":
            self.hang_up()
        elif kind in ("500", "503"):
            self.answer((int(kind), [], b""))
        else:
            answer = self.ask(body)
            if self.command == "GET" and "list-type" in self.path:
                old = self.bad.listing(self.path, answer)
                answer = old if kind == "stale list" else answer
            self.answer(answer, cut=kind == "truncated")

    def body(self) -> bytes:
        """Of the request, in one piece or in chunks."""
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def ask(self, body: bytes) -> Answer:
        """What the server says."""
        upstream = http.client.HTTPConnection("127.0.0.1", self.port)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP}
        upstream.request(self.command, self.path, body, headers)
        reply = upstream.getresponse()
        answer = (reply.status, reply.getheaders(), reply.read())
        upstream.close()
        return answer

    def answer(self, answer: Answer, *, cut: bool = False) -> None:
        """Send it, or half of it."""
        status, headers, body = answer
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        length = {name.lower(): value for name, value in headers}.get("content-length")
        is_head = self.command == "HEAD"
        self.send_header("Content-Length", length if is_head and length else str(len(body)))
        self.end_headers()
        if not is_head:
            self.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            self.hang_up()

    def hang_up(self) -> None:
        """As a network that breaks."""
        self.close_connection = True
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = forward


class JumpingClock(datetime):
    """A time of day that is another decade at each look."""

    rng = random.Random(int(os.environ.get("CLOCK_SEED", "0")))

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # pyright: ignore
        """The true time, up to ten years off."""
        return datetime.now(tz or UTC) + timedelta(days=cls.rng.uniform(-3650, 3650))


if __name__ == "__main__":
    from search.store import lease, lost

    lease.datetime = JumpingClock  # pyright: ignore[reportAttributeAccessIssue]
    lost.now = JumpingClock.now
    raise SystemExit(main(*sys.argv[1:]))
