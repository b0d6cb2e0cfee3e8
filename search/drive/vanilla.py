"""Trains a study's vanilla network by itself, for a map before, during or after the search."""

from search.drive.engine import Options, carry_out
from search.drive.plan import Plan
from search.sampling.strategy import Listed
from search.store.history import read_history
from search.store.lease import Lease
from search.store.past import Past
from search.store.store import Store
from search.study.ends import End
from search.study.training import Training


def train_vanilla(store: Store) -> End:
    """Train it in this process with the study's own recipe and first seed; the status it ends with.

    Its row and weights lie in the store, as if the study had asked for it: a sampler that is
    resumed knows it. Outside of the study's space it has no point, like a finalist. Signals end
    it with a checkpoint, as `preempted`.

    Raises:
        StudyError: another driver is at work on the study, the storage fails.
    """
    study = store.study()
    training = Training(
        spec=study.space.base,
        protocol_id=study.protocol.protocol_id,
        seed=study.seeds[0],
        point=study.space.find(study.space.base),
        suggested_by="classrepsim",
    )

    def plan(past: Past) -> Plan:
        return Plan(strategy=Listed([training], number=1), begun=[], total=1)

    with Lease(store.storage) as lease:
        summary = carry_out(store, lease, Options(in_process=True), make=plan)
    if summary.reason:
        return "preempted"
    status = read_history(store, study).records[training.key].status
    assert status is not None  # nothing was owed any more
    return status
