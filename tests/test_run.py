"""Searches through Ray Tune on one shared Ray: faults become rows, nothing is owed at the end."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from searches import cheap
from trainables import Faulty, Misfit, Smooth

from search.drive.ray_session import ray_session
from search.drive.run import Options, extend, finalists, resume, search
from search.errors import StudyError
from search.sampling.export import export_csv, export_optuna
from search.store.check import check
from search.store.lease import Lease
from search.store.lost import account_for
from search.store.part import KEY
from search.store.status import status
from search.store.store import Store
from search.study.study import Finalists, Sampled, Study

SMOOTH = Options(progress=False, stand_in=Smooth)


@pytest.fixture(scope="module", autouse=True)
def ray_up() -> Iterator[None]:
    """One Ray with one slot for this file; its worker finds the scripted trainables."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STACNET_CPUS", "1")
        patch.setenv("PYTHONPATH", str(Path(__file__).parent))
        with ray_session(None):
            yield


def sampled(**change: object) -> Study:
    """TPE on the cheap space, one seed."""
    plan = Sampled(**({"sampler": "tpe", "trials": 9, "concurrency": 2} | change))  # type: ignore[arg-type]
    return replace(cheap(seeds=(0,)), name="sampled", strategy=plan)


def states(store: Store) -> Counter:
    """How attempts ended."""
    return Counter(store.trainings(["status"], all_attempts=True)["status"].to_pylist())


def test_faults_of_a_network_become_rows_and_the_search_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "study"
    study = replace(cheap(seeds=(0,)), max_attempts=2)
    summary = search(study, out, options=Options(progress=False, stand_in=Faulty))
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
    again = resume(out, options=Options(progress=False, stand_in=Faulty))
    assert (again.finished, again.ended) == (True, 0)


def test_a_study_that_fits_no_data_stops_with_the_reason_and_ends_no_training(
    tmp_path: Path,
) -> None:
    options = Options(progress=False, stand_in=Misfit)
    with pytest.raises(StudyError, match="classes must be those of the data"):
        search(cheap(), tmp_path / "study", options=options)
    store = Store(tmp_path / "study")
    assert states(store) == {}
    with Lease(store.storage) as lease:  # as the next run does
        account_for(lease, study=cheap(), store=store)
    assert set(states(store)) == {"preempted"}


def test_a_sampled_search_trains_no_network_twice_and_can_be_extended(tmp_path: Path) -> None:
    out = tmp_path / "study"
    assert search(sampled(), out, options=SMOOTH).finished
    store = Store(out)
    assert store.trainings().num_rows == 9
    assert extend(out, trials=6, options=SMOOTH).ended == 6
    networks = store.trainings(["network_id"], all_attempts=True)["network_id"].to_pylist()
    assert len(set(networks)) == len(networks) == 15
    assert check(store) == []
    assert export_optuna(store, tmp_path / "journal.log") == 15
    assert [path.name for path in export_csv(store, tmp_path / "csv")] == [
        "trainings.csv",
        "epochs.csv",
    ]


def test_an_exhaustive_study_cannot_be_extended(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.begin(cheap())
    with pytest.raises(StudyError, match="only a sampled study can be extended, got exhaustive"):
        extend(tmp_path, trials=3, options=SMOOTH)


def test_halving_prunes_keeps_the_curves_and_extending_promotes_the_best(tmp_path: Path) -> None:
    out = tmp_path / "study"
    study = sampled(scheduler="asha", trials=27, sampler="random")
    study = replace(study, protocol=replace(study.protocol, epochs=9))
    assert search(study, out, options=SMOOTH).finished
    store = Store(out)
    before = states(store)
    assert before["complete"] + before["pruned"] == 27
    assert before["pruned"] > 5
    assert check(store) == []
    assert len(list(out.glob("checkpoints/*"))) == before["pruned"]
    assert extend(out, trials=0, promote=2, options=SMOOTH).ended == 2
    now = Counter(store.trainings(["status"])["status"].to_pylist())
    assert now["complete"] == before["complete"] + 2
    assert check(store) == []


@pytest.fixture(scope="module")
def finished(ray_up: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study of 27 trainings that may have finalists."""
    out = tmp_path_factory.mktemp("finished") / "study"
    study = replace(cheap(seeds=(0,)), finalists=Finalists(top=2, seeds=(100, 101)))
    assert search(study, out, options=SMOOTH).ended == 27
    return out


def test_finalists_train_the_best_and_the_references_with_fresh_seeds(finished: Path) -> None:
    assert finalists(finished, options=SMOOTH).ended == 8
    store = Store(finished)
    rows = store.trainings(["seed", "suggested_by", *KEY[:2]]).to_pylist()
    fresh = [row for row in rows if row["seed"] >= 100]
    assert {row["suggested_by"] for row in fresh} == {
        "finalist: vanilla",
        "finalist: SE everywhere",
        "finalist: top 1",
        "finalist: top 2",
    }
    assert finalists(finished, options=SMOOTH).ended == 0
    assert store.weights("-".join(str(fresh[0][name]) for name in KEY)) is not None


def test_finished_trainings_of_another_study_are_not_trained_again(
    tmp_path: Path, finished: Path
) -> None:
    wider, out = replace(cheap(seeds=(0, 1)), name="wider"), tmp_path / "wider"
    assert search(wider, out, options=SMOOTH, reuse_from=str(finished)).ended == 27
    assert check(Store(out)) == []


def test_a_time_budget_ends_the_run_and_not_the_study(tmp_path: Path) -> None:
    out = tmp_path / "study"
    short = replace(SMOOTH, budget_s=0.001)
    summary = search(cheap(), out, options=short)
    assert not summary.finished
    assert summary.reason == "time budget"
    assert resume(out, options=SMOOTH).finished
    assert status(Store(out)).complete == 54
