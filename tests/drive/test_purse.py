"""A run that may spend so much ends in order when it has, or when it cannot tell."""

import json
from pathlib import Path
from typing import Any

import pytest
from searches import cheap
from trainables import Scripted

from search.drive import purse
from search.drive.machine import device_name, hostname
from search.drive.run import Options, resume, search
from search.errors import StudyError
from search.store.prices import HOUR_S
from search.store.status import status
from search.store.store import Store
from search.study.study import Study
from search.study.training import Job

pytestmark = pytest.mark.slow  # takes seconds

EPOCH_S = 0.05


def timed(job: Job, study: Study) -> Scripted:
    """Three epochs of a twentieth of a second."""
    return Scripted(epochs=study.protocol.epochs, top=0.5, epoch_s=EPOCH_S)


def options(folder: Path, prices: dict[str, float], money: float, **more: Any) -> Options:
    """That much money, and a file of prices."""
    (folder / "prices.json").write_text(json.dumps(prices))
    known = {"in_process": True, "progress": False, "stand_in": timed} | more
    return Options(budget_money=money, prices=folder / "prices.json", **known)


@pytest.mark.parametrize("name", [hostname, lambda: device_name(on_gpu=False)])
def test_a_run_ends_when_its_device_seconds_have_cost_the_budget(
    name: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purse, "LOOK_EVERY_S", 0.0)
    out, per_second = tmp_path / "study", 2.0
    asked = options(tmp_path, {name(): per_second * HOUR_S, "another": 1.0}, 2.0)
    summary = search(cheap(seeds=(0,)), out, options=asked)
    assert not summary.finished
    spent = float(summary.reason.split()[1])
    assert summary.reason.endswith(" of 2 spent")
    now = status(Store(out))
    assert now.complete + now.missing == 27
    assert now.missing
    assert spent >= 2.0
    told = per_second * now.device_s  # by the store, which leaves out how a worker gets its job
    assert 0.3 * spent < told < 1.1 * spent
    assert resume(out, options=options(tmp_path, {name(): 1.0}, 1e6)).finished


def test_the_trainings_under_way_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purse, "LOOK_EVERY_S", 0.0)
    asked = options(tmp_path, {hostname(): HOUR_S}, 1.5)
    summary = search(cheap(epochs=1000), tmp_path / "study", options=asked)
    assert summary.reason.startswith("money: ")
    assert summary.ended == 1  # preempted, with its checkpoint


def test_a_machine_without_a_price_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=f"must have every machine, got neither {hostname()} nor"):
        search(cheap(), tmp_path / "study", options=options(tmp_path, {"A100": 1.0}, 1.0))


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ({"budget_money": 1.0}, "must be given together, got 1.0 and None"),
        ({"prices": "prices.json"}, "must be given together, got None and prices.json"),
        ({"budget_money": 0.0, "prices": "prices.json"}, "must be more than 0, got 0.0"),
        ({"budget_money": float("nan"), "prices": "prices.json"}, "must be more than 0, got nan"),
        ({"budget_money": 1.0, "prices": "empty.json"}, "must have a price, got none"),
        ({"budget_money": 1.0, "prices": "endless.json"}, "a price must be a number, 0 or more"),
        ({"budget_money": 1.0, "prices": "nowhere.json"}, "nowhere.json"),
    ],
)
def test_what_cannot_be_kept_is_refused(
    given: dict[str, Any], rule: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("prices.json").write_text('{"A100": 1.0}')
    Path("empty.json").write_text("{}")
    Path("endless.json").write_text('{"A100": Infinity}')
    with pytest.raises((ValueError, OSError), match=rule):
        Options(**given)
