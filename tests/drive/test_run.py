"""Searches through Ray Tune on one shared Ray: faults become rows, nothing is owed at the end."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from searches import cheap
from trainables import faulty, misfit

from search.drive.ray_session import ray_session
from search.drive.run import Options, resume, search
from search.errors import StudyError
from search.store.check import check
from search.store.lease import Lease
from search.store.lost import account_for
from search.store.part import KEY
from search.store.status import status
from search.store.store import Store
from search.study.study import Sampled


@pytest.fixture(scope="module", autouse=True)
def ray_up() -> Iterator[None]:
    """One Ray with one slot for this file; its worker finds the scripted trainables."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STACNET_CPUS", "1")
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
        with ray_session(None):
            yield


def states(store: Store) -> Counter:
    """How attempts ended."""
    return Counter(store.trainings(["status"], all_attempts=True)["status"].to_pylist())


def test_faults_of_a_network_become_rows_and_the_search_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "study"
    study = replace(cheap(seeds=(0,)), max_attempts=2)
    summary = search(study, out, options=Options(progress=False, stand_in=faulty))
    assert summary.finished
    store = Store(out)
    assert states(store) == {"complete": 23, "diverged": 1, "failed": 4, "oom": 2}
    rows = store.trainings(["point", "status", "error_type", "attempt"]).to_pylist()
    ends = {row["point"]: (row["status"], row["error_type"], row["attempt"]) for row in rows}
    assert ends[1] == ("failed", "RuntimeError", 1)
    assert ends[2] == ("diverged", "Diverged", 0)
    assert ends[3] == ("oom", "MemoryError", 1)
    assert ends[4] == ("failed", "crash", 1)
    assert check(store) == []
    assert status(store).failed == 3
    again = resume(out, options=Options(progress=False, stand_in=faulty))
    assert (again.finished, again.ended) == (True, 0)


def test_a_study_that_fits_no_data_stops_with_the_reason_and_ends_no_training(
    tmp_path: Path,
) -> None:
    options = Options(progress=False, stand_in=misfit)
    with pytest.raises(StudyError, match="classes must be those of the data"):
        search(cheap(), tmp_path / "study", options=options)
    store = Store(tmp_path / "study")
    assert states(store) == {}
    with Lease(store.storage) as lease:  # as the next run does
        account_for(lease, study=cheap(), store=store)
    assert set(states(store)) == {"preempted"}


def test_both_executors_leave_the_same_rows(tmp_path: Path) -> None:
    """Of a study that is trained for real, with halving, on Ray and in this process."""
    plan = Sampled(sampler="random", scheduler="asha", trials=4, concurrency=1)
    study = replace(cheap(seeds=(0,)), name="both", strategy=plan)
    names = [*KEY, "attempt", "order", "status", "epochs", "val_acc_last", "val_loss_last"]
    names += ["test_acc_last", "test_correct"]
    rows = []
    for in_process in (False, True):
        out = tmp_path / f"in_process={in_process}"
        assert search(study, out, options=Options(progress=False, in_process=in_process)).finished
        assert check(Store(out)) == []
        rows.append(Store(out).trainings(names).sort_by("order").to_pylist())
    assert rows[0] == rows[1]
    assert len(rows[0]) == 4
    num = study.protocol.data.test
    for row in (row for row in rows[0] if row["status"] == "complete"):
        bits = np.unpackbits(np.frombuffer(row["test_correct"], np.uint8))
        assert bits[:num].mean() == row["test_acc_last"] > 0
        assert not bits[num:].any()


@pytest.mark.parametrize(
    ("given", "environment", "in_process", "joined"),
    [
        (None, None, False, None),
        (None, "auto", False, "auto"),
        ("host:6379", "auto", False, "host:6379"),
        (None, "", False, None),
        (None, "auto", True, None),
    ],
)
def test_on_the_machines_of_a_cluster_a_search_joins_it(
    given: str | None,
    environment: str | None,
    in_process: bool,
    joined: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    if environment is not None:
        monkeypatch.setenv("RAY_ADDRESS", environment)
    assert Options(address=given, in_process=in_process).cluster == joined
