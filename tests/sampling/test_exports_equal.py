"""Every export holds each complete training of the Parquet tables, its numbers, and no more."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from planted import stored, wide
from pyarrow import csv

from search.errors import StudyError
from search.sampling.export import export_csv, export_optuna
from search.sampling.export_blackbox import export_blackbox
from search.store.shipped import SCHEME, shipped_studies
from search.store.store import Store
from search.study.networks import networks
from search.study.space import Space
from search.study.study import Sampled

Ends = dict[tuple[str, int], tuple[float, float]]  # network, seed -> validation, test accuracy
CURVE = ("val_acc", "val_loss", "train_acc", "train_loss", "epoch_s", "cum_s")
# The objectives of a blackbox that hold these, and those that hold one number of a training.
OF_CURVE = [f"metric_{name}" for name in (*CURVE[:-1], "elapsed_time")]
FINAL = "metric_final_test_acc"
OF_TRAINING = [FINAL, "metric_params", "metric_macs"]


def odd(rows: list[dict[str, Any]]) -> None:
    """Two trainings went wrong, a network entirely; one was stopped; others are not the study's."""
    for row, status in zip(rows[1:4], ("diverged", "diverged", "failed"), strict=True):
        row |= {"status": status, "val_acc_last": None, "test_acc_last": None, "epochs": 0}
    rows[4] |= {"status": "pruned", "test_acc_last": None}
    rows += [rows[0] | {"seed": 100, "val_acc_last": 0.9, "suggested_by": "finalist: top 1"}]
    rows += [row | {"protocol_id": "another", "test_acc_last": 0.1} for row in rows[:1]]
    for row in rows:
        row["test_acc_last"] = row["test_acc_last"] and row["test_acc_last"] / 3  # all digits


@pytest.fixture(params=[*shipped_studies(), "odd"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A study that ships; and a planted one in which all kinds of things happened."""
    if request.param != "odd":
        return Store(f"{SCHEME}{request.param}")
    return stored(tmp_path / "odd", wide(seeds=(7, 3)), odd)


def parquet(store: Store) -> tuple[pa.Table, pa.Table]:
    """Complete trainings and their epochs as they lie in the files, read by nothing of ours."""
    cells, epochs = (pq.read_table(Path(store.address) / name) for name in ("cells", "epochs"))
    cells = cells.filter(pc.equal(cells["status"], "complete"))
    key = ["network_id", "protocol_id", "seed", "attempt"]
    epochs = epochs.select([*key, "epoch", *CURVE])
    return cells, epochs.join(cells.select(key), key, join_type="left semi")


def ends(cells: pa.Table, store: Store, *, seeds: tuple[int, ...] | None = None) -> Ends:
    """Of the study's protocol and space (no twins), and of these seeds if they are given."""
    protocol_id = store.study().protocol.protocol_id
    there = set(networks(store.study().space).network_ids)
    found = {
        (row["network_id"], row["seed"]): (row["val_acc_last"], row["test_acc_last"])
        for row in cells.select(
            ["network_id", "protocol_id", "seed", "val_acc_last", "test_acc_last"]
        ).to_pylist()
        if row["protocol_id"] == protocol_id
        and row["network_id"] in there
        and (seeds is None or row["seed"] in seeds)
    }
    assert len(found) > 20
    return found


def sorted_rows(table: pa.Table, columns: list[str]) -> list[tuple[Any, ...]]:
    return sorted(zip(*(table[name].to_pylist() for name in columns), strict=True))


def test_the_csv_holds_every_complete_training_and_its_curve(store: Store, tmp_path: Path) -> None:
    cells, epochs = parquet(store)
    files = export_csv(store, tmp_path / "csv")
    shown, curves = (csv.read_csv(file) for file in files)
    shown = shown.filter(pc.equal(shown["status"], "complete"))
    key = ["network_id", "protocol_id", "seed"]
    columns = [*key, "val_acc_last", "test_acc_last", "params", "macs"]
    assert sorted_rows(shown, columns) == sorted_rows(cells, columns)
    columns = [*key, "epoch", *CURVE]
    curves = curves.select(columns).join(shown.select(key), key, join_type="left semi")
    assert sorted_rows(curves, columns) == sorted_rows(epochs, columns)


@pytest.mark.filterwarnings("ignore")  # the journal is marked experimental
def test_the_journal_holds_every_complete_training(store: Store, tmp_path: Path) -> None:
    export_optuna(store, tmp_path / "journal")
    journal = JournalStorage(JournalFileBackend(str(tmp_path / "journal")))
    trials = optuna.load_study(study_name=store.study().name, storage=journal).trials
    found: Ends = {}
    for attributes in (trial.user_attrs for trial in trials):
        for name in attributes:
            start, _, seed = name.rpartition(" seed ")
            if start == "val_acc_last" and f"seed {seed}" not in attributes:  # else: how it ended
                test = attributes[f"test_acc_last seed {seed}"]
                found[attributes["network_id"], int(seed)] = (attributes[name], test)
    assert found == ends(parquet(store)[0], store)


def blackbox(folder: Path) -> tuple[list[str], np.ndarray, list[int]]:
    """Objectives, numbers (P, S, E, M), seeds: read as Syne Tune's `deserialize` does."""
    about = json.loads((folder / "metadata.json").read_text())
    numbers = np.load(folder / "objectives_evaluations.npy")
    space = json.loads((folder / "configspace.json").read_text())
    time = json.loads((folder / "fidelityspace.json").read_text())[about["time_attr"]]
    epochs = np.load(folder / "fidelities_values.npy").tolist()
    shown = pq.read_table(folder / "hyperparameters.parquet")
    assert numbers.shape[0] == len(about["task_names"]) == 1
    assert numbers.shape[1:4] == (shown.num_rows, len(about["seeds"]), len(epochs))
    assert len(about["objectives_names"]) == numbers.shape[4]
    assert {about["metric_elapsed_time"], about["metric_default"]} < set(about["objectives_names"])
    assert time["domain_kwargs"] == {"lower": 1, "upper": len(epochs)}
    assert epochs == list(range(1, len(epochs) + 1))
    assert list(space) == shown.column_names
    assert len(set(sorted_rows(shown, shown.column_names))) == shown.num_rows  # none twice
    return about["objectives_names"], numbers[0], about["seeds"]


def test_the_blackbox_holds_every_complete_training_of_the_study(
    store: Store, tmp_path: Path
) -> None:
    cells, epochs = parquet(store)
    study, folder = store.study(), tmp_path / "blackbox"
    assert export_blackbox(store, folder) == len(pq.read_table(folder / "networks.parquet"))
    names, numbers_PSEM, seeds = blackbox(folder)
    of_network = pq.read_table(folder / "networks.parquet")["network_id"].to_pylist()
    at = {name: place for place, name in enumerate(names)}
    found: Ends = {}
    curves = set()
    for configuration, seed in np.argwhere(np.isfinite(numbers_PSEM).any((2, 3))):
        values_EM = numbers_PSEM[configuration, seed]
        training = (of_network[configuration], seeds[seed])
        found[training] = (values_EM[-1, at["metric_val_acc"]], values_EM[0, at[FINAL]])
        assert np.ptp(values_EM[:, [at[name] for name in OF_TRAINING]], axis=0).max() == 0
        shown_EM = values_EM[:, [at[name] for name in OF_CURVE]]
        curves |= {(*training, epoch, *row) for epoch, row in enumerate(shown_EM.tolist(), 1)}
    own = ends(cells, store, seeds=study.seeds)
    assert found == own
    columns = ["network_id", "seed", "epoch", *CURVE]
    protocol = pc.equal(epochs["protocol_id"], study.protocol.protocol_id)
    rows = sorted_rows(epochs.filter(protocol), columns)
    assert sorted(curves) == [row for row in rows if row[:2] in own]


def test_each_point_of_a_trained_network_is_a_configuration_of_its_own(
    store: Store, tmp_path: Path
) -> None:
    space, folder = store.study().space, tmp_path / "blackbox"
    export_blackbox(store, folder)
    domains = json.loads((folder / "configspace.json").read_text())
    categories = {name: one["domain_kwargs"]["categories"] for name, one in domains.items()}
    points = []
    for chosen in pq.read_table(folder / "hyperparameters.parquet").to_pylist():
        digits = [
            categories[f"hp_{factor.name}"].index(chosen[f"hp_{factor.name}"])
            if len(factor.choices) > 1
            else 0
            for factor in space.factors
        ]
        points.append(space.index(tuple(digits)))
    listed = pq.read_table(folder / "networks.parquet").to_pydict()
    assert listed["point"] == points
    assert listed["network_id"] == [space.spec(point).network_id for point in points]
    trained = {network_id for network_id, _ in ends(parquet(store)[0], store)}
    assert points == [point for point, spec in space if spec.network_id in trained]


def test_a_network_without_a_complete_training_is_no_configuration(tmp_path: Path) -> None:
    study = wide()
    names = networks(study.space).network_ids
    export_blackbox(stored(tmp_path / "odd", study, odd), tmp_path / "blackbox")
    listed = pq.read_table(tmp_path / "blackbox" / "networks.parquet")["network_id"].to_pylist()
    numbers_PSEM = blackbox(tmp_path / "blackbox")[1]
    assert set(listed) == set(names) - {names[1]}  # of two diverged trainings
    is_known_PS = np.isfinite(numbers_PSEM).all((2, 3))
    assert np.array_equal(is_known_PS, np.isfinite(numbers_PSEM).any((2, 3)))
    assert is_known_PS[listed.index(names[0])].tolist() == [True, False]  # the other one diverged


def test_points_outside_the_bounds_are_no_configurations(tmp_path: Path) -> None:
    study = wide()
    among = networks(replace(study.space, max_macs_ratio=1.2))
    bounded = replace(study, space=among.space)
    assert 0 < len(among) < len(networks(study.space))
    rows_of = among.row_of_points()
    for point, spec in among.space:
        assert among.row.get(spec.network_id, -1) == rows_of[point]
    assert -1 in rows_of
    store = stored(tmp_path / "study", bounded)
    assert export_blackbox(store, tmp_path / "blackbox") == (rows_of >= 0).sum()


def test_a_study_that_is_no_blackbox_is_refused(tmp_path: Path) -> None:
    def torn(rows: list[dict[str, Any]]) -> None:
        del rows[1:]

    empty = stored(tmp_path / "empty", wide(), list.clear)
    with pytest.raises(StudyError, match="a blackbox needs a complete training, got none in"):
        export_blackbox(empty, tmp_path / "blackbox")
    longer = replace(wide(), protocol=replace(wide().protocol, epochs=4))
    with pytest.raises(StudyError, match=r"each epoch of 1 \.\. 4 once, got others of network \w+"):
        export_blackbox(stored(tmp_path / "torn", longer, torn), tmp_path / "blackbox")
    many = tuple(range(1, 62, 2))
    space = replace(wide().space, kernels=many, reductions=many, placements=("all", "last"))
    space = replace(
        space, pools=("avg", "max", "both"), norms=("none", "batch"), positions=("post", "mid")
    )
    large = replace(wide(), space=space, strategy=Sampled(sampler="random", trials=3))
    Store(tmp_path / "large").begin(large)
    with pytest.raises(StudyError, match=rf"of at most 200000 points .*, got {space.size()}"):
        export_blackbox(Store(tmp_path / "large"), tmp_path / "blackbox")
    assert not (tmp_path / "blackbox").exists()


def test_a_space_with_one_choice_shows_its_settings_too(tmp_path: Path) -> None:
    """A table of Syne Tune answers only for several hyperparameters."""
    one = replace(wide(), space=Space(base=wide().space.base, scales=(("off", 4), ("off",), (2,))))
    assert export_blackbox(stored(tmp_path / "one", one), tmp_path / "blackbox") == 2
    shown = pq.read_table(tmp_path / "blackbox" / "hyperparameters.parquet").to_pydict()
    assert shown["hp_s1_scale"] == ["off", "4"]
    assert (shown["hp_s3_scale"], shown["hp_kind"]) == ([2, 2], ["stac", "stac"])
