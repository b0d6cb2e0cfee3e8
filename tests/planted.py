"""Studies whose truth is planted: accuracies are written, not trained."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analysis.predict.picks import Picks, make_pick
from search.store.rows import network_columns, study_and_space_id
from search.store.schema import CELLS, EPOCHS
from search.store.store import Store
from search.study.networks import Networks, networks
from search.study.space import Space
from search.study.study import Study
from search.study.training import id_of
from stacnet.checkpoint import dumps
from stacnet.data_spec import ScaleSignal
from stacnet.network import build
from stacnet.protocol import Protocol
from stacnet.spec import resnet

EPOCHS_RUN = 3
BEGAN = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


def small_study(*, seeds: tuple[int, ...] = (0, 1), margin: float = 0.01) -> Study:
    """36 networks: 4 x 3 x 3 scales of a patch-limited ResNet-8."""
    data = ScaleSignal(grid=4, layouts=6, size=16, train=64, val=400, test=64)
    return Study(
        name="planted",
        space=Space(
            base=resnet(8, width=4, input_size=16, classes=8, kernels=(3, 1, 1)),
            scales=(("off", 1, 2, 4), ("off", 1, 4), ("off", 1, 4)),
            reductions=(4,),
        ),
        protocol=Protocol(data=data, epochs=EPOCHS_RUN, batch_size=32),
        seeds=seeds,
        margin=margin,
    )


def planted_accuracy(among: Networks) -> np.ndarray:
    """0.4, and 0.2 for each of the last two stages that looks at 4 cells or more: (N,)."""
    return 0.4 + 0.2 * (among.cells_NT[:, 1:] >= 4).sum(1)


def trainings_table(
    study: Study, accuracy_NS: np.ndarray, *, rows: slice = slice(None), noise_seed: int = 0
) -> pa.Table:
    """A complete table for these accuracies (N, S), seeds in the study's order."""
    among = networks(study.space)
    study_id, space_id = study_and_space_id(study)
    protocol_id = study.protocol.protocol_id
    made = []
    for n, spec in enumerate(among.specs):
        for s, seed in enumerate(study.seeds):
            accuracy = float(accuracy_NS[n, s])
            made.append(
                network_columns(spec)
                | {
                    "study_id": study_id,
                    "space_id": space_id,
                    "network_id": among.network_ids[n],
                    "protocol_id": protocol_id,
                    "seed": seed,
                    "attempt": 0,
                    "point": among.points[n],
                    "params": int(among.params_N[n]),
                    "macs": int(among.macs_N[n]),
                    "status": "complete",
                    "epochs": EPOCHS_RUN,
                    "val_acc_last": accuracy,
                    "test_acc_last": accuracy,
                    "val_loss_last": 1 - accuracy,
                    "test_loss_last": 1 - accuracy,
                    "device_s": 10.0,
                    "train_s": 9.0,
                    "order": len(made),
                    "suggested_by": "exhaustive",
                    "device_name": "planted",
                    "versions": "{}",
                }
            )
    return pa.Table.from_pylist(made[rows], schema=CELLS)


def epochs_table(trainings: pa.Table) -> pa.Table:
    """Curves that rise to each training's accuracy."""
    made = [
        {name: row[name] for name in ("network_id", "protocol_id", "seed", "attempt")}
        | {
            "epoch": epoch,
            "train_loss": 1.0,
            "train_acc": row["val_acc_last"] * (epoch / EPOCHS_RUN),
            "val_acc": row["val_acc_last"] * (epoch / EPOCHS_RUN),
            "val_loss": 1.0,
            "cum_s": 3.0 * epoch,
            "epoch_s": 3.0,
        }
        for row in trainings.to_pylist()
        for epoch in range(1, EPOCHS_RUN + 1)
    ]
    return pa.Table.from_pylist(made, schema=EPOCHS)


def graded_accuracy(among: Networks) -> np.ndarray:
    """As `planted_accuracy`, but every scale of every stage is worth something else: (N,).

    Only so can a predictor be told apart from its own values dealt anew.
    """
    worth = {0: 0.0, 1: 0.3, 2: 0.6, 4: 1.0}
    share_NT = np.vectorize(worth.get)(among.cells_NT)
    return 0.3 + share_NT @ np.array([0.1, 0.2, 0.2])


def planted_store(
    folder: str,
    study: Study,
    *,
    share: float = 1.0,
    sd: float = 0.003,
    truth: Callable[[Networks], np.ndarray] = planted_accuracy,
) -> Store:
    """A store with `share` of the trainings, and weights of (untrained) vanilla networks."""
    store = Store(folder)
    store.begin(study)
    among = networks(study.space)
    rng = np.random.default_rng(0)
    noise_NS = rng.normal(0, sd, (len(among), len(study.seeds)))
    trainings = trainings_table(study, truth(among)[:, None] + noise_NS)
    trainings = trainings.slice(0, max(1, round(share * trainings.num_rows)))
    store.write_merged("cells", trainings)
    store.write_merged("epochs", epochs_table(trainings))
    vanilla = study.space.base
    for seed in study.seeds:
        training_id = id_of((vanilla.network_id, study.protocol.protocol_id, seed))
        store.write_weights(training_id, dumps(build(vanilla, seed=seed).state_dict()))
    return store


def picks_json(study: Study, among: Networks, **scores: np.ndarray) -> str:
    """A picks file with the primary rule and others, by their scores."""
    study_id, space_id = study_and_space_id(study)
    return Picks(
        space_id=space_id,
        study_id=study_id,
        protocol_id=study.protocol.protocol_id,
        primary_rule=study.primary_rule,
        weights=("training",),
        network_ids=among.network_ids,
        vanilla_s=60.0,
        look_s=4.0,
        picks=tuple(
            make_pick("R2+R5" if name == "primary" else name, "rule", values, among, cost_s=64.0)
            for name, values in scores.items()
        ),
    ).to_json()


def wide(*, seeds: tuple[int, ...] = (3, 7)) -> Study:
    """Scales that are not their positions, two kernels (equal on one cell), two ways to fuse."""
    return Study(
        name="wide",
        space=Space(
            base=resnet(8, width=4, input_size=16, classes=8),
            scales=(("off", 4, "native"), ("off", 1), (2,)),
            kernels=(3, 5),
            reductions=(4,),
            fuses=("mul", "mul_res"),
        ),
        protocol=Protocol(data=ScaleSignal(grid=4, size=16), epochs=EPOCHS_RUN, batch_size=32),
        seeds=seeds,
    )


def stored(
    folder: Path, study: Study, change: Callable[[list[dict[str, Any]]], None] = lambda rows: None
) -> Store:
    """A complete store, with rows changed before they are written."""
    among = networks(study.space)
    accuracy_NS = planted_accuracy(among)[:, None] + [[0.01 * s for s in range(len(study.seeds))]]
    rows = trainings_table(study, accuracy_NS).to_pylist()
    for number, row in enumerate(rows):
        row["started_at"] = BEGAN + timedelta(minutes=number)
        row["ended_at"] = row["started_at"] + timedelta(seconds=30)
    change(rows)
    store = Store(folder)
    store.begin(study)
    table = pa.Table.from_pylist(rows, schema=CELLS)
    store.write_merged("cells", table)
    store.write_merged("epochs", epochs_table(table.filter(pc.is_valid(table["val_acc_last"]))))
    return store
