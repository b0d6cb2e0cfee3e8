"""`stac classrepsim --train`: the vanilla network that a study has not trained, as a cell of it."""

from search.drive.ledger import Ledger
from search.sampling.strategy import Listed
from search.store.history import read_history
from search.store.lease import Lease
from search.store.losses import account_for
from search.store.store import Store
from search.study.cells import Cell, Job
from search.study.ends import End
from stac.cli.train import train_here
from stacnet.data.images import load


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
    cell = Cell(
        spec=base,
        protocol_id=study.protocol.protocol_id,
        seed=study.seeds[0],
        point=study.space.find(base),
        suggested_by="classrepsim",
    )
    with Lease(store.storage) as lease:
        account_for(lease, study=study, store=store)
        history, strategy = read_history(store, study), Listed([cell], number=1)
        ledger = Ledger(study, strategy, history=history, begun=[], lease=lease.owner)
        job = ledger.next_job()
        assert isinstance(job, Job)
        return train_here(job, store, study, splits)
