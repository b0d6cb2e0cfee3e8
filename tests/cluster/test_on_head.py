"""What is asked of a head by somebody who may not ask."""

import socket

import pytest

from search.cluster import on_head
from search.drive import private
from search.errors import ClusterError


def test_without_a_token_a_cluster_counts_as_busy_and_no_process_is_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ray's client would abort; and to be refused is no proof that nobody is at work."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        monkeypatch.setenv("RAY_AUTH_MODE", "token")
        monkeypatch.setattr(private, "has_token", lambda: False)
        address = f"127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setattr(private, "head_address", lambda: address)
        for ask in (on_head.refuse_if_busy, on_head.launches_now):
            with pytest.raises(ClusterError, match="a cluster wants its token, got none"):
                ask()


def test_where_nobody_listens_nobody_is_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private, "head_address", lambda: "127.0.0.1:1")
    monkeypatch.setattr(on_head.runs, "running", list)
    on_head.refuse_if_busy()
    with pytest.raises(ConnectionError, match=r"Ray must answer at 127\.0\.0\.1:1"):
        on_head.launches_now()
