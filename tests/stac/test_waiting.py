"""What long commands show: nothing when they are quick, lines on stderr in a log."""

import time

import pytest

from stac.cli.waiting import Waiting


def test_a_quick_command_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with Waiting("thinking") as waiting:
        waiting.tell("thinking harder", 1, 2)
    assert capsys.readouterr() == ("", "")


def test_a_slow_command_says_how_far_it_is_on_stderr_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stac.cli.waiting.PATIENCE_S", 0.01)
    monkeypatch.setattr("stac.cli.waiting.LINE_EVERY_S", 0.0)
    with Waiting("thinking") as waiting:
        time.sleep(0.2)
        waiting.tell("runs", 3, 7)
    assert capsys.readouterr() == ("", "thinking ...\nruns 3/7 ...\n")
