"""`stac train`: one network as a study of one training, trained in this process, without Ray."""

import os
from dataclasses import replace

import torch

from search.drive.engine import Options
from search.drive.ray_session import lent_cpus
from search.drive.run import search
from search.store.store import Store
from search.study.studies import override
from search.study.study import Finalists, Resources, Study
from stac.cli.commands import Train
from stac.cli.flag_values import assignments, data_spec, one_network_space
from stac.cli.flags import NetworkFlags
from stacnet.data.images import load
from stacnet.protocol import Protocol


def run(command: Train) -> int:
    """Train the network of the flags; 0 if it is complete, or was stopped and can go on.

    Raises:
        ValueError: network, recipe and data do not fit, or the folder holds another study.
    """
    study = one_training_study(command)
    summary = search(study, command.out, options=Options(in_process=True))
    return _tell(Store(command.out), study, is_stopped=bool(summary.reason))


def one_training_study(command: Train) -> Study:
    """The study of the flags; what they leave open of the network's shape is the data's."""
    changes = {f"protocol.{n}": v for n, v in assignments(command.recipe.override).items()}
    protocol = Protocol(data=data_spec(command.recipe.data))
    cpus = min(torch.get_num_threads(), lent_cpus() or os.cpu_count() or 1)
    fresh = Finalists()
    blank = Study(
        name="train",
        space=one_network_space(NetworkFlags(depth=8)),
        protocol=protocol,
        seeds=(command.seed,),
        finalists=replace(fresh, seeds=tuple(s for s in fresh.seeds if s != command.seed)),
        resources=Resources(cpus=cpus, gpus=1.0 if torch.cuda.is_available() else 0.0),
    )
    study = override(blank, changes)
    splits = load(study.protocol.data)
    channels, size, _ = splits.train.shape
    space = one_network_space(
        command.network, classes=splits.classes, in_channels=channels, input_size=size
    )
    return replace(study, space=space)


def _tell(store: Store, study: Study, *, is_stopped: bool) -> int:
    """Print how it ended, and draw the curve; the exit code."""
    from analysis.report.curves import learning_curves
    from analysis.report.figure_curves import draw_curves
    from analysis.report.figures import to_bytes

    network_id = study.space.spec(0).network_id
    curves = learning_curves(store.epochs(), {"network": network_id})
    if curves:
        store.storage.write("curve.png", to_bytes(draw_curves(curves), kind="png"))
    rows = store.trainings().to_pylist()
    if is_stopped or not rows:
        epochs = rows[0]["epochs"] if rows else 0
        print(f"stopped after {epochs} epochs; the same command goes on")
        return 0
    row = rows[0]
    if row["status"] == "complete":
        print(
            f"val acc {row['val_acc_last']:.4f}  test acc {row['test_acc_last']:.4f}  "
            f"{row['train_s']:.0f} s  {store.address}"
        )
        return 0
    print(f"{row['status']}: {row['error_text']}")
    return 1
