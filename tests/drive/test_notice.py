"""The cloud's notice: read from a metadata server, and what a search does then."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from searches import cheap
from spot import Metadata, lose_a_node
from trainables import smooth

from search.drive import notice as module
from search.drive.notice import notice
from search.drive.run import Options, search

pytestmark = pytest.mark.slow  # takes seconds

GONE_AT = "2026-11-26T12:00:00Z"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Metadata]:
    """That of no cloud yet."""
    for name in ("AWS_EC2_METADATA_DISABLED", "NO_GCE_CHECK"):
        monkeypatch.delenv(name, raising=False)
    made = Metadata()
    notice.cache_clear()
    yield made
    notice.cache_clear()
    made.close()


@pytest.fixture
def aws(server: Metadata, monkeypatch: pytest.MonkeyPatch) -> Metadata:
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", f"http://{server.host}/")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")  # which is not asked
    return server


def test_aws_is_asked_with_a_token_and_its_notice_is_kept(aws: Metadata) -> None:
    assert notice().read() is None
    aws.gone_at = GONE_AT
    assert notice().read() is None  # it was asked a moment ago
    notice()._next = 0.0
    assert notice().read() == f"AWS will terminate this machine at {GONE_AT}"
    aws.close()
    notice()._next = 0.0
    assert notice().read() == f"AWS will terminate this machine at {GONE_AT}"


def test_gcp_is_asked_as_its_guide_says(server: Metadata, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GCE_METADATA_HOST", server.host)
    assert notice().read() is None
    server.gone_at, notice()._next = GONE_AT, 0.0
    assert str(notice().read()).startswith("GCP preempts this machine within 30 s, seen at 20")


@pytest.mark.parametrize("said", ["<html>", "[]", "null", '"terminate"', "7", "\xff", "x" * 10**6])
def test_a_server_that_talks_nonsense_gives_no_notice(
    said: str, aws: Metadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aws, "answer", lambda path, headers: (200, said))
    one = notice()
    assert one.read() is None
    assert one._pause_s == 2 * module.ASK_EVERY_S


def test_what_is_no_http_at_all_gives_no_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a port that another program has; and an address that is none."""
    monkeypatch.delenv("NO_GCE_CHECK", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def chatter() -> None:
            with server.accept()[0] as client:
                client.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

        thread = threading.Thread(target=chatter)
        thread.start()
        for host in (f"127.0.0.1:{server.getsockname()[1]}", "a host", "127.0.0.1:x"):
            monkeypatch.setenv("GCE_METADATA_HOST", host)
            notice.cache_clear()
            assert notice().read() is None
            assert notice()._pause_s == 2 * module.ASK_EVERY_S
        thread.join()
    notice.cache_clear()


def test_a_server_that_fails_is_asked_less_and_less(aws: Metadata) -> None:
    one = notice()
    for turn in (1, 2, 3):
        aws.broken = turn < 3
        if turn == 3:
            aws.close()
        one._next = 0.0
        assert one.read() is None
        assert one._pause_s == 2**turn * module.ASK_EVERY_S


@pytest.mark.parametrize(
    ("firmware", "asked"),
    [("Amazon EC2", 1), ("Google Compute Engine", 1), ("LENOVO", 0), (None, 0)],
)
def test_a_machine_asks_its_own_cloud_and_one_of_ones_own_nobody(
    firmware: str | None, asked: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_EC2_METADATA_DISABLED", "NO_GCE_CHECK"):
        monkeypatch.delenv(name, raising=False)
    calls: list[str] = []

    def fetch(address: str, headers: dict[str, str], *, method: str = "GET") -> str:
        calls.append(address)
        raise OSError("no cloud here")

    monkeypatch.setattr(module, "DMI", tmp_path)
    monkeypatch.setattr(module, "_fetch", fetch)
    if firmware is not None:
        (tmp_path / "sys_vendor").write_text(f"{firmware}\n")
    notice.cache_clear()
    assert notice().read() is None
    assert len(calls) == asked
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    notice.cache_clear()
    assert notice().read() is None
    assert len(calls) == asked
    notice.cache_clear()


def test_when_the_drivers_machine_goes_the_run_ends_in_order(aws: Metadata, tmp_path: Path) -> None:
    aws.gone_at = GONE_AT
    options = Options(in_process=True, progress=False, stand_in=smooth)
    summary = search(cheap(), tmp_path / "study", options=options)
    assert not summary.finished
    assert summary.reason == f"AWS will terminate this machine at {GONE_AT}"


@pytest.mark.slow  # a real cluster
@pytest.mark.timeout(600)
def test_a_notice_in_the_middle_of_a_training_costs_seconds_and_the_rest_goes_on_elsewhere(
    tmp_path: Path,
) -> None:
    rows = lose_a_node(tmp_path, epochs=200, notice=True, after_s=4, warning_s=12)
    ended = [row for row in rows if row["status"] == "complete"]
    (lost,) = [row for row in rows if row["status"] != "complete"]
    assert [row["epochs"] for row in ended] == [200, 200]
    assert sorted(row["attempt"] for row in ended) == [0, 1]
    assert (lost["status"], lost["error_type"]) == ("preempted", "MachineLeaves")
    assert "AWS will terminate this machine" in lost["error_text"]
    assert lost["wasted_device_s"] < 10
