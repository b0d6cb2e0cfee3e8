"""`stac export`: what a reader of the dashboard sees are the values of the Parquet rows."""

import math
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState
from planted import BEGAN, stored, wide

from search.errors import StudyError
from search.sampling.export import export_csv, export_optuna
from search.store.store import Store
from search.study.networks import networks
from search.study.study import Objective


def exported(store: Store, file: Path) -> list[FrozenTrial]:
    """The trials as any reader of the journal gets them."""
    count = export_optuna(store, file)
    journal = JournalStorage(JournalFileBackend(str(file)))
    trials = optuna.load_study(study_name=store.study().name, storage=journal).trials
    assert len(trials) == count
    return trials


@pytest.mark.filterwarnings("ignore")  # the journal is marked experimental
def test_parameters_and_values_are_those_of_the_parquet_rows(tmp_path: Path) -> None:
    study = wide()
    store = stored(tmp_path / "study", study)
    trials = exported(store, tmp_path / "journal")
    assert len(trials) == len(networks(study.space))
    table = store.trainings().to_pylist()
    for trial in trials:
        rows = [row for row in table if row["network_id"] == trial.user_attrs["network_id"]]
        values = {r["seed"]: r["val_acc_last"] for r in rows}
        for stage in (1, 2):
            assert trial.params[f"s{stage}_scale"] == (rows[0][f"s{stage}_scale"] or "off")
            assert trial.params[f"s{stage}_kernel"] == (rows[0][f"s{stage}_kernel"] or "off")
        assert trial.params["fuse"] == rows[0]["fuse"]
        assert "s3_scale" not in trial.params  # no choice
        assert trial.value == fmean(values.values())
        assert trial.user_attrs["val_acc_last SD"] == stdev(values.values())
        assert {s: trial.user_attrs[f"val_acc_last seed {s}"] for s in (3, 7)} == values
        assert trial.user_attrs["macs"] == rows[0]["macs"]
        assert trial.user_attrs["device_s"] == 20.0
        assert trial.intermediate_values == pytest.approx(
            {epoch: trial.value * epoch / 3 for epoch in (1, 2, 3)}
        )
    assert {trial.params["s1_scale"] for trial in trials} == {
        "off",
        4,
        16,
    }  # native is 16 trainings
    assert {trial.params["s2_kernel"] for trial in trials} == {"off", 1}  # on one training
    assert trials[0].distributions["s1_scale"].choices == ("off", 4, 16)
    begun = BEGAN.astimezone().replace(tzinfo=None)
    assert (trials[0].datetime_start, trials[0].duration) == (begun, timedelta(seconds=90))


@pytest.mark.filterwarnings("ignore")
def test_a_network_is_one_trial_with_the_state_the_sampler_was_told(tmp_path: Path) -> None:
    def change(rows: list[dict[str, Any]]) -> None:
        changes = [("diverged", None), ("diverged", None), ("diverged", math.nan)]
        changes += [("pruned", 0.3), ("pruned", 0.2)]
        for row, (status, value) in zip(rows[1:6], changes, strict=True):
            row |= {"status": status, "val_acc_last": value, "test_acc_last": None}
            row["epochs"] = 0 if value is None else row["epochs"]
        rows[2] |= {"error_type": "Diverged", "error_text": "got nan"}
        rows[6]["status"] = "preempted"  # of the fourth: it is still owed
        del rows[-1]  # the last one's second seed was never begun

    study = wide()
    trials = exported(stored(tmp_path / "study", study, change), tmp_path / "journal")
    assert len(trials) == len(networks(study.space)) - 2
    first, second, third = trials[:3]
    assert (first.state, first.user_attrs["seed 7"]) == (TrialState.COMPLETE, "diverged")
    assert first.value == first.user_attrs["val_acc_last seed 3"]
    assert (second.state, second.values) == (TrialState.FAIL, None)
    assert second.user_attrs["seed 3"] == "diverged: Diverged: got nan"
    assert third.state == TrialState.PRUNED
    assert third.intermediate_values[3] == pytest.approx(0.25)


@pytest.mark.filterwarnings("ignore")
def test_fresh_seeds_and_other_protocols_change_no_value(tmp_path: Path) -> None:
    def change(rows: list[dict[str, Any]]) -> None:
        fresh = rows[0] | {"seed": 100, "val_acc_last": 1.0, "suggested_by": "finalist: top 1"}
        foreign = [row | {"protocol_id": "another", "val_acc_last": 1.0} for row in rows]
        rows[:0] = [fresh, *foreign]

    study = wide()
    plain = exported(stored(tmp_path / "plain", study), tmp_path / "journal")
    trials = exported(stored(tmp_path / "study", study, change), tmp_path / "other")
    assert [trial.values for trial in trials] == [trial.values for trial in plain]
    assert trials[0].user_attrs["val_acc_last seed 100"] == 1.0
    assert trials[0].user_attrs["suggested_by"] == "exhaustive"


@pytest.mark.filterwarnings("ignore")
def test_several_objectives_are_several_values_and_a_value_that_lacks_is_a_failure(
    tmp_path: Path,
) -> None:
    goals = (Objective(), Objective(metric="latency_s", direction="minimize"))
    study = replace(wide(seeds=(0,)), objectives=goals)

    def change(rows: list[dict[str, Any]]) -> None:
        for row in rows[1:]:
            row["latency_s"] = 0.5

    trials = exported(stored(tmp_path / "study", study, change), tmp_path / "journal")
    assert trials[0].state == TrialState.FAIL
    assert trials[1].values == [trials[1].user_attrs["val_acc_last seed 0"], 0.5]


@pytest.mark.filterwarnings("ignore")
def test_a_store_without_a_result_is_an_empty_journal_and_rows_without_times_export(
    tmp_path: Path,
) -> None:
    def undated(rows: list[dict[str, Any]]) -> None:
        for row in rows:
            row["started_at"] = row["ended_at"] = None

    empty = stored(tmp_path / "none", wide(), list.clear)
    assert exported(empty, tmp_path / "a") == []
    undated_store = stored(tmp_path / "study", wide(), undated)
    assert exported(undated_store, tmp_path / "b")[0].duration == timedelta(0)


def test_an_export_writes_over_nothing(tmp_path: Path) -> None:
    store = stored(tmp_path / "study", wide())
    (tmp_path / "mine").write_text("mine")
    for file in (tmp_path / "mine", tmp_path, tmp_path / "nowhere" / "journal"):
        with pytest.raises(StudyError, match="export must go to a new file in a folder that"):
            export_optuna(store, file)
    assert (tmp_path / "mine").read_text() == "mine"
    assert len(export_csv(store, tmp_path / "csv" / "deep")) == 2
    with pytest.raises(StudyError, match=r"must hold study\.json"):
        export_csv(Store(tmp_path / "nothing"), tmp_path / "other")
    assert not (tmp_path / "other").exists()
