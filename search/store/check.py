"""`stac status --check`: every rule that a store must keep, and who breaks it.

It is the tool that names a file, so nothing that a folder may hold ends it.
"""

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from search.errors import StorageError, StoreError
from search.store.damage import damages
from search.store.manifest import load_or_list
from search.store.own import floats
from search.store.part import KEY
from search.store.parts import codes, is_in, only
from search.store.past import Past
from search.store.schema import STATUSES
from search.store.status import EFFORT, extras_of, own_of, planned_trainings
from search.store.store import Store
from search.study.ends import FAULTS, FINAL, OWN_FAULTS
from search.study.metrics import METRICS
from search.study.study import Study
from search.study.training import id_of

SHARES = ("val_acc_last", "test_acc_last", "test_acc_at_best_val")
LOSSES = ("val_loss_last", "test_loss_last")
COUNTS = ("params", "params_effective", "macs", "activations", "peak_mem_bytes", "epochs")
SECONDS = ("train_s", "eval_s", "wait_s", "wall_s", "device_s", "wasted_device_s", "latency_s")
COLUMNS = tuple(dict.fromkeys((*SHARES, *LOSSES, *COUNTS, *SECONDS, *EFFORT, *METRICS.values())))
SHOWN = 20  # rows that are named for one rule; the others are counted


def look(store: Store) -> Past:
    """What `check` and `status` need, for both to be asked."""
    return Past(store, columns=COLUMNS, curve=("cum_s",))


def check(store: Store | Past) -> list[str]:
    """All broken rules, one sentence each; empty for a sound store.

    Args:
        store: or a `look` at it.

    Raises:
        StudyError: there is no study, or the storage fails.
    """
    past = store if isinstance(store, Past) else look(store)
    study, storage = past.study, past.store.storage
    broken = []
    try:
        broken += [damage.rule for damage in damages(past)]
    except StorageError:
        raise
    except StoreError as error:
        broken.append(str(error))  # a part of a newer version
    extras, _ = extras_of(past)  # damage is named above
    try:
        found = past.attempts
    except StoreError as error:  # of a newer version
        return list(dict.fromkeys([*broken, str(error)]))
    among = load_or_list(storage, study)
    is_own_N = own_of(study, extras, among).mask(found.table)
    broken += _strangers(only(found.table, ~is_own_N), study)
    rows = only(found.table, is_own_N)
    broken += _values(rows, study)
    standing = only(rows, found.canonical_N[is_own_N])
    broken += _torn(found.torn, standing)
    broken += _epochs(past.epochs, standing)
    if not storage.exists("lease.json"):
        broken += _owed(standing, rows, study, planned_trainings(study, extras, among))
    return broken


def _strangers(rows: pa.Table, study: Study) -> Iterator[str]:
    """Rows that are not the study's: they are never counted.

    The vanilla network may have been trained for a map, also where the space has no place for it.
    """
    protocols = Counter(rows["protocol_id"].cast(pa.string()).to_pylist())
    for protocol_id, number in sorted(protocols.items()):
        if protocol_id != study.protocol.protocol_id:
            wanted = study.protocol.protocol_id
            yield f"rows must be of protocol {wanted}, got {number} of {protocol_id}"
    same_N = is_in(rows["protocol_id"], frozenset({study.protocol.protocol_id}))
    same_N &= ~is_in(rows["network_id"], frozenset({study.space.base.network_id}))
    names = _ids(only(rows, same_N))
    yield from _few(f"{name}: network and seed must be the study's" for name in names)


def _values(rows: pa.Table, study: Study) -> Iterator[str]:
    """Numbers that cannot be."""
    state = rows["status"]
    is_complete_N = is_in(state, frozenset({"complete"}))
    yield from _rule(rows, "status", is_in(state, frozenset(STATUSES)), f"one of {STATUSES}")
    for name in SHARES:
        value_N = floats(rows, name)
        good_N = _null(rows, name) | ((value_N >= 0) & (value_N <= 1))
        yield from _rule(rows, name, good_N, "a share from 0 to 1")
    there_N = ~(_null(rows, "val_acc_last") & is_complete_N)
    yield from _rule(rows, "val_acc_last", there_N, "there if complete")
    is_fault_N = is_in(state, FAULTS)
    for name in (*LOSSES, *COUNTS, *SECONDS):
        value_N = floats(rows, name)
        good_N = _null(rows, name) | ((value_N >= 0) & np.isfinite(value_N))
        if name in LOSSES:
            good_N |= is_fault_N  # a loss that is no number is what diverging means
        yield from _rule(rows, name, good_N, "finite and at least 0")
    most = study.protocol.epochs
    yield from _rule(rows, "epochs", ~(floats(rows, "epochs") > most), f"at most {most}")


def _rule(rows: pa.Table, name: str, good_N: np.ndarray, rule: str) -> Iterator[str]:
    bad = only(rows, ~good_N)
    values = bad[name].to_pylist()
    pairs = zip(_ids(bad), values, strict=True)
    yield from _few(
        f"{training_id}: {name} must be {rule}, got {value}" for training_id, value in pairs
    )


def _few(lines: Iterator[str]) -> Iterator[str]:
    """The first lines, and how many there are besides."""
    every = list(lines)
    yield from every[:SHOWN]
    if len(every) > SHOWN:
        yield f"{every[SHOWN]}; and {len(every) - SHOWN - 1} more of this kind"


def _torn(torn: pa.Table, standing: pa.Table) -> Iterator[str]:
    """Rows without their epochs, unless the training has ended again since."""
    ended = only(standing, is_in(standing["status"], FINAL))
    torn_N, ended_N = codes([torn, ended], KEY)
    names = _ids(only(torn, ~np.isin(torn_N, ended_N)))
    yield from _few(f"{name}: its epochs must be there, got none: stac resume" for name in names)


def _epochs(table: pa.Table, rows: pa.Table) -> Iterator[str]:
    """Epochs are 1, 2, 3, ... up to the training's number, and the clock never goes back."""
    rows = only(rows, is_in(rows["status"], FINAL))
    training_N, row_N = codes([table, rows], KEY)
    epoch_N, cum_N = table["epoch"].to_numpy(), floats(table, "cum_s")
    same_N = training_N[1:] == training_N[:-1]
    first_N = np.append(np.full(min(len(training_N), 1), True), ~same_N)
    wanted_N = np.where(first_N, 1, np.append(0, epoch_N[:-1])[: len(epoch_N)] + 1)
    names = _ids(only(table, epoch_N != wanted_N))
    yield from _few(f"{name}: epochs must be contiguous from 1" for name in dict.fromkeys(names))
    back_N = np.append(np.full(min(len(training_N), 1), False), same_N & (np.diff(cum_N) < 0))
    names = _ids(only(table, back_N))
    yield from _few(f"{name}: cum_s must not decrease" for name in dict.fromkeys(names))
    counts_N = np.bincount(training_N, minlength=int(row_N.max(initial=0)) + 1)[row_N]
    wrong_N = counts_N != floats(rows, "epochs")
    bad = only(rows, wrong_N)
    triples = zip(_ids(bad), counts_N[wrong_N], bad["epochs"].to_pylist(), strict=True)
    yield from _few(
        f"{training_id}: epochs must be all there, got {there} of {claimed}"
        for training_id, there, claimed in triples
    )


def _owed(standing: pa.Table, rows: pa.Table, study: Study, planned: int) -> Iterator[str]:
    """What a study at rest still owes."""
    training_N, fault_N = codes([standing, only(rows, is_in(rows["status"], OWN_FAULTS))], KEY)
    faults_N = np.bincount(fault_N, minlength=int(training_N.max(initial=0)) + 1)[training_N]
    ended = int((is_in(standing["status"], FINAL) | (faults_N >= study.max_attempts)).sum())
    if ended < planned:
        yield f"a finished study has {planned} trainings, got {ended}: stac resume"


def _ids(rows: pa.Table) -> list[str]:
    return [id_of(key) for key in zip(*(rows[name].to_pylist() for name in KEY), strict=True)]


def _null(rows: pa.Table, name: str) -> np.ndarray:
    return rows[name].is_null().to_numpy()
