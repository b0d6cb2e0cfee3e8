"""Trains in this process, without Ray: one job, with a bar on stderr."""

import threading

from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from search.drive.attempt import Attempt
from search.drive.ledger import Ledger
from search.drive.signals import ending
from search.sampling.strategy import Listed
from search.store.history import read_history
from search.store.lease import Lease
from search.store.lost import account_for
from search.store.store import Store
from search.study.ends import End
from search.study.study import Study
from search.study.training import Job, Training
from stacnet.data.images import Splits, load
from stacnet.train import Trainer

SLICE_S = 1.0


def train_vanilla(store: Store) -> End:
    """Train it in this process with the study's own recipe and first seed; the status it ends with.

    Its row and weights lie in the store, as if the study had asked for it: a sampler that is
    resumed knows it. Outside of the study's space it has no point, like a finalist.

    Raises:
        StudyError: another driver is at work on the study, the storage fails.
    """
    study = store.study()
    splits = load(study.protocol.data)
    base = study.space.base
    training = Training(
        spec=base,
        protocol_id=study.protocol.protocol_id,
        seed=study.seeds[0],
        point=study.space.find(base),
        suggested_by="classrepsim",
    )
    with Lease(store.storage) as lease:
        account_for(lease, study=study, store=store)
        history, strategy = read_history(store, study), Listed([training], number=1)
        ledger = Ledger(study, strategy, history=history, begun=[], lease=lease.owner)
        job = ledger.next_job()
        assert isinstance(job, Job)
        return train_here(job, store, study, splits)


def train_here(job: Job, store: Store, study: Study, splits: Splits) -> End:
    """Train in this process, with a bar on stderr; the attempt's status.

    SIGTERM and SIGINT end it with a checkpoint, as `preempted`.
    """
    device = "cuda" if job.gpus else "cpu"
    attempt = Attempt(
        job,
        store=store,
        study=study,
        make_trainer=lambda: Trainer(
            job.training.spec,
            study.protocol,
            splits,
            seed=job.training.seed,
            device=device,
            threads=study.resources.cpus,
        ),
    )
    return _advance(attempt, num_epochs=study.protocol.epochs)


def _advance(attempt: Attempt, *, num_epochs: int) -> End:
    stopped = threading.Event()
    columns = (
        *Progress.get_default_columns(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[last]}"),
    )
    with (
        ending(lambda name: stopped.set()),
        Progress(*columns, console=Console(stderr=True)) as progress,
    ):
        task = progress.add_task("epochs", total=num_epochs, last="")
        while attempt.status is None:
            if stopped.is_set():
                attempt.stop("preempted")
                break
            report = attempt.advance(SLICE_S)
            last = f"val acc {report['curve'][-1]:.4f}" if report["curve"] else ""
            progress.update(task, completed=report["epoch"], last=last)
    return attempt.status or "preempted"
