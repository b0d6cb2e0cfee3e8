"""Syne Tune itself reads a blackbox and searches in it; only where `syne-tune` is installed.

It is no dependency: `pip install syne-tune fastparquet huggingface_hub` into a copy of .venv.
"""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from search.sampling.export_blackbox import export_blackbox
from search.store.shipped import SCHEME, shipped_studies
from search.store.store import Store

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore")]
tabular = pytest.importorskip("syne_tune.blackbox_repository.blackbox_tabular")


@pytest.mark.parametrize("name", shipped_studies())
def test_syne_tune_answers_each_question_as_the_parquet_does(name: str, tmp_path: Path) -> None:
    store = Store(f"{SCHEME}{name}")
    study = store.study()
    export_blackbox(store, tmp_path)
    blackbox = tabular.deserialize(tmp_path)[name]
    of_network = pq.read_table(tmp_path / "networks.parquet")["network_id"].to_pylist()
    ends = {(row["network_id"], row["seed"]): row for row in store.trainings().to_pylist()}
    configurations = blackbox.all_configurations()
    asked = 0
    for row in store.epochs().to_pylist():
        if row["seed"] not in study.seeds or row["network_id"] not in of_network:
            continue
        end = ends[row["network_id"], row["seed"]]
        chosen = configurations[of_network.index(row["network_id"])]
        seed = study.seeds.index(row["seed"])
        answer = blackbox.objective_function(chosen, fidelity=row["epoch"], seed=seed)
        assert answer["metric_val_acc"] == row["val_acc"]
        assert answer["metric_elapsed_time"] == row["cum_s"]
        assert answer["metric_final_test_acc"] == end["test_acc_last"]
        assert answer["metric_macs"] == end["macs"]
        asked += 1
    assert asked == len(set(of_network)) * len(study.seeds) * study.protocol.epochs


@pytest.mark.parametrize("name", shipped_studies())
def test_syne_tune_searches_in_it_and_writes_it_as_we_do(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNETUNE_FOLDER", str(tmp_path))  # else in the home folder
    from syne_tune import StoppingCriterion, Tuner
    from syne_tune.backend.simulator_backend.simulator_callback import SimulatorCallback
    from syne_tune.blackbox_repository import UserBlackboxBackend
    from syne_tune.optimizer.baselines import ASHA

    export_blackbox(Store(f"{SCHEME}{name}"), tmp_path / "ours")
    blackbox = tabular.deserialize(tmp_path / "ours")[name]
    tabular.serialize({name: blackbox}, tmp_path / "theirs")
    for file in ("configspace", "fidelityspace"):
        texts = ((tmp_path / who / f"{file}.json").read_text() for who in ("ours", "theirs"))
        ours, theirs = map(json.loads, texts)
        assert ours == theirs
    again = tabular.deserialize(tmp_path / "theirs")[name]
    exact = blackbox.objectives_evaluations.astype(np.float32)
    assert np.array_equal(again.objectives_evaluations, exact, equal_nan=True)
    assert again.all_configurations() == blackbox.all_configurations()
    backend = UserBlackboxBackend(blackbox=blackbox, elapsed_time_attr="metric_elapsed_time")
    backend.set_path(str(tmp_path / "run"))
    scheduler = ASHA(
        config_space=blackbox.configuration_space,
        metric="metric_val_acc",
        do_minimize=False,
        time_attr="hp_epoch",
        max_t=int(blackbox.fidelity_values.max()),
        random_seed=0,
    )
    tuner = Tuner(
        trial_backend=backend,
        scheduler=scheduler,
        stop_criterion=StoppingCriterion(max_num_trials_started=20),
        n_workers=2,
        sleep_time=0,
        callbacks=[SimulatorCallback()],
        results_update_interval=600,
        tuner_name="stacnet",
        save_tuner=False,
    )
    tuner.run()
    _, best = tuner.best_config()
    assert set(best) >= set(blackbox.configuration_space)
    assert tuner.tuning_status.num_trials_started >= 20
