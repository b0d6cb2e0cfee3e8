"""`stac train`: one network as a study of one training, trained in this process, without Ray."""

import os
from dataclasses import replace

import torch

from search.drive.here import train_here
from search.drive.plan import make_ledger, make_plan
from search.drive.preflight import admitted
from search.drive.ray_session import lent_cpus
from search.store.lease import Lease
from search.store.lost import account_for
from search.store.past import past_of_run
from search.store.store import Store
from search.study.ends import End
from search.study.studies import override
from search.study.study import Finalists, Resources, Study
from search.study.training import Job
from stac.cli.commands import Train
from stac.cli.flag_values import assignments, data_spec, one_network_space
from stac.cli.flags import NetworkFlags
from stacnet.data.images import Splits, load
from stacnet.protocol import Protocol


def run(command: Train) -> int:
    """Train the network of the flags; 0 if it is complete, or was stopped and can go on.

    Raises:
        ValueError: network, recipe and data do not fit, or the folder holds another study.
    """
    store = Store(command.out)
    study = admitted(store, one_training_study(command), address=None)
    splits = load(study.protocol.data)
    with Lease(store.storage) as lease:
        store.begin(study)
        account_for(lease, study=study, store=store)
        status = _finish(store, study, splits, lease)
    return _tell(store, study, status)


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


def _finish(store: Store, study: Study, splits: Splits, lease: Lease) -> End:
    """Train what is owed; the status of the last attempt."""
    past = past_of_run(store)
    job = make_ledger(past, make_plan(past), lease=lease.owner).next_job()
    if not isinstance(job, Job):
        return "complete"
    return train_here(job, store, study, splits)


def _tell(store: Store, study: Study, status: End) -> int:
    """Print how it ended, and draw the curve; the exit code."""
    from analysis.report.curves import draw_curves, learning_curves
    from analysis.report.figures import to_bytes

    network_id = study.space.spec(0).network_id
    curves = learning_curves(store.epochs(), {"network": network_id})
    if curves:
        store.storage.write("curve.png", to_bytes(draw_curves(curves), kind="png"))
    row = store.trainings().to_pylist()[0]
    if status == "complete":
        print(
            f"val acc {row['val_acc_last']:.4f}  test acc {row['test_acc_last']:.4f}  "
            f"{row['train_s']:.0f} s  {store.address}"
        )
        return 0
    if status == "preempted":
        print(f"stopped after {row['epochs']} epochs; the same command goes on")
        return 0
    print(f"{status}: {row['error_text']}")
    return 1
