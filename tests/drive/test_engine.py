"""The engine on its executor without Ray: what every command leads to, in this process."""

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from searches import cheap
from trainables import Scripted, faulty, misfit, smooth

from search.drive.run import Options, extend, finalists, resume, search
from search.drive.worker import MakeTrainer
from search.errors import LeaseError, StudyError
from search.sampling.export import export_csv, export_optuna
from search.store.check import check
from search.store.lease import FILE, Lease
from search.store.lost import account_for
from search.store.part import KEY
from search.store.status import status
from search.store.store import Store
from search.study.study import Finalists, Resources, Sampled, Study
from search.study.training import Job
from stacnet.protocol import EpochResult

pytestmark = pytest.mark.slow  # some hundred trainings
HERE = Options(in_process=True, progress=False, stand_in=smooth)


def sampled(**change: object) -> Study:
    """TPE on the cheap space, one seed."""
    plan = Sampled(**({"sampler": "tpe", "trials": 9, "concurrency": 2} | change))  # type: ignore[arg-type]
    return replace(cheap(seeds=(0,)), name="sampled", strategy=plan)


def states(store: Store) -> Counter:
    """How attempts ended."""
    return Counter(store.trainings(["status"], all_attempts=True)["status"].to_pylist())


def test_a_study_is_trained_to_its_end_and_owes_nothing(tmp_path: Path) -> None:
    summary = search(cheap(), tmp_path, options=HERE)
    assert (summary.finished, summary.ended) == (True, 54)
    assert check(Store(tmp_path)) == []
    assert status(Store(tmp_path)).complete == 54
    again = resume(tmp_path, options=HERE)
    assert (again.finished, again.ended) == (True, 0)


def test_a_cluster_is_not_asked_to_train_in_this_process() -> None:
    with pytest.raises(StudyError, match=r"in_process must be without a cluster, got .*'auto'"):
        Options(in_process=True, address="auto")


def test_a_fault_is_tried_again_and_given_up(tmp_path: Path) -> None:
    def broken(job: Job, study: Study) -> Scripted:
        return faulty(job, study) if job.training.point != 4 else smooth(job, study)

    study = replace(cheap(seeds=(0,)), max_attempts=2)
    assert search(study, tmp_path, options=replace(HERE, stand_in=broken)).finished
    store = Store(tmp_path)
    assert states(store) == {"complete": 24, "diverged": 1, "failed": 2, "oom": 2}
    assert check(store) == []
    assert status(store).failed == 2


def test_what_fits_no_data_stops_the_run_and_ends_no_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.store.lease.STALE_S", 0.5)  # this process is the driver that left
    with pytest.raises(StudyError, match="classes must be those of the data"):
        search(cheap(), tmp_path, options=replace(HERE, stand_in=misfit))
    store = Store(tmp_path)
    assert states(store) == {}
    with Lease(store.storage) as lease:  # as the next run does
        account_for(lease, study=cheap(), store=store)
    assert states(store) == {"preempted": 1}


def test_a_sampled_search_trains_no_network_twice_and_can_be_extended(tmp_path: Path) -> None:
    out = tmp_path / "study"
    assert search(sampled(), out, options=HERE).finished
    store = Store(out)
    assert store.trainings().num_rows == 9
    assert extend(out, trials=6, options=HERE).ended == 6
    networks = store.trainings(["network_id"], all_attempts=True)["network_id"].to_pylist()
    assert len(set(networks)) == len(networks) == 15
    assert check(store) == []
    assert export_optuna(store, tmp_path / "journal.log") == 15
    files = [path.name for path in export_csv(store, tmp_path / "csv")]
    assert files == ["cells.csv", "epochs.csv"]


def test_an_exhaustive_study_cannot_be_extended(tmp_path: Path) -> None:
    Store(tmp_path).begin(cheap())
    with pytest.raises(StudyError, match="only a sampled study can be extended, got exhaustive"):
        extend(tmp_path, trials=3, options=HERE)


def test_halving_prunes_keeps_the_curves_and_extending_promotes_the_best(tmp_path: Path) -> None:
    study = sampled(scheduler="asha", trials=27, sampler="random")
    study = replace(study, protocol=replace(study.protocol, epochs=9))
    assert search(study, tmp_path, options=HERE).finished
    store = Store(tmp_path)
    before = states(store)
    assert before["complete"] + before["pruned"] == 27
    assert before["pruned"] > 5
    assert check(store) == []
    assert len(list(tmp_path.glob("checkpoints/*"))) == before["pruned"]
    assert extend(tmp_path, trials=0, promote=2, options=HERE).ended == 2
    now = Counter(store.trainings(["status"])["status"].to_pylist())
    assert now["complete"] == before["complete"] + 2
    assert check(store) == []


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study of 27 trainings that may have finalists."""
    out = tmp_path_factory.mktemp("finished") / "study"
    study = replace(cheap(seeds=(0,)), finalists=Finalists(top=2, seeds=(100, 101)))
    assert search(study, out, options=HERE).ended == 27
    return out


def test_finalists_are_the_best_the_references_and_widened_twins_with_fresh_seeds(
    finished: Path,
) -> None:
    ended = finalists(finished, options=HERE).ended
    store = Store(finished)
    rows = store.trainings(["seed", "suggested_by", "macs", "params", *KEY[:2]]).to_pylist()
    fresh = [row for row in rows if row["seed"] >= 100]
    by_reason = {row["suggested_by"].removeprefix("finalist: "): row for row in fresh}
    twins = {name for name in by_reason if name.endswith(" of top 1")}
    assert by_reason.keys() - twins == {"vanilla", "SE everywhere", "top 1", "top 2"}
    assert {"widened vanilla (parameters) of top 1", "widened SE (parameters) of top 1"} <= twins
    assert ended == len(fresh) == 2 * (4 + len(twins))
    for name in twins:
        cost = "macs" if "(MACs)" in name else "params"
        assert by_reason[name][cost] == pytest.approx(by_reason["top 1"][cost], rel=0.01)
    assert finalists(finished, options=HERE).ended == 0
    assert store.weights("-".join(str(fresh[0][name]) for name in KEY)) is not None


def test_finished_trainings_of_another_study_are_not_trained_again(
    tmp_path: Path, finished: Path
) -> None:
    wider, out = replace(cheap(seeds=(0, 1)), name="wider"), tmp_path / "wider"
    assert search(wider, out, options=HERE, reuse_from=str(finished)).ended == 27
    assert check(Store(out)) == []


def test_a_time_budget_ends_the_run_and_not_the_study(tmp_path: Path) -> None:
    summary = search(cheap(), tmp_path, options=replace(HERE, budget_s=0.001))
    assert not summary.finished
    assert summary.reason == "time budget"
    assert resume(tmp_path, options=HERE).finished
    assert status(Store(tmp_path)).complete == 54


def during(number: int, act: Callable[[], None]) -> MakeTrainer:
    """Training runs in one of which, the so manieth, something happens after its first epoch."""
    trained: list[Job] = []

    class Interrupted(Scripted):
        def run(self, *, budget_s: float) -> EpochResult | None:
            result = super().run(budget_s=budget_s)
            if len(trained) == number and len(self.results) == 1:
                act()
            return result

    def make(job: Job, study: Study) -> Scripted:
        trained.append(job)
        top = smooth(job, study)._top
        return Interrupted(epochs=study.protocol.epochs, top=top, epoch_s=0.4)

    return make


def test_a_signal_leaves_a_checkpoint_and_the_next_run_goes_on_from_there(tmp_path: Path) -> None:
    """The attempt is stopped at the end of its slice, with two of its epochs or more to come."""
    stop = during(3, lambda: os.kill(os.getpid(), signal.SIGTERM))
    study = replace(cheap(seeds=(0,)), protocol=replace(cheap().protocol, epochs=8))
    summary = search(study, tmp_path, options=replace(HERE, stand_in=stop))
    assert (summary.finished, summary.reason, summary.ended) == (False, "SIGTERM", 3)
    store = Store(tmp_path)
    assert states(store) == {"complete": 2, "preempted": 1}
    (row,) = (r for r in store.trainings().to_pylist() if r["status"] == "preempted")
    assert 1 <= row["epochs"] < 8
    assert not (tmp_path / FILE).exists()
    assert resume(tmp_path, options=HERE).finished
    assert states(store) == {"complete": 27, "preempted": 1}
    assert check(store) == []


def test_a_lease_that_another_driver_took_ends_the_run_without_a_row(tmp_path: Path) -> None:
    def take_over() -> None:
        (tmp_path / FILE).unlink()
        threads = threading.active_count()
        Lease(Store(tmp_path).storage)
        assert threading.active_count() > threads

    stolen = during(2, take_over)
    with pytest.raises(LeaseError, match="one driver at a time"):
        search(cheap(seeds=(0,)), tmp_path, options=replace(HERE, stand_in=stolen))
    assert states(Store(tmp_path)) == {"complete": 1}


def test_an_attempt_out_of_memory_gets_a_larger_share_here_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.drive.preflight._check_machine", lambda wanted: None)
    shares: list[float] = []

    def small(job: Job, study: Study) -> Scripted:
        shares.append(job.gpus)
        if len(shares) == 1:
            raise MemoryError("no memory left")
        return smooth(job, study)

    study = replace(cheap(seeds=(0,)), resources=Resources(cpus=1, gpus=0.25))
    assert search(study, tmp_path, options=replace(HERE, stand_in=small)).finished
    assert sorted(set(shares)) == [0.25, 0.5]
    assert states(Store(tmp_path)) == {"complete": 27, "oom": 1}
