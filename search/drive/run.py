"""Runs what a study owes: one path for search, resume, extend and finalists."""

from dataclasses import replace
from pathlib import Path

from search.drive.engine import Options, Summary, carry_out
from search.drive.preflight import admitted, preflight, ready
from search.errors import StudyError
from search.store.compact import merge_all
from search.store.extras import (
    read_extras,
    with_finalists,
    with_more_trials,
    write_extras,
)
from search.store.hints import Hints
from search.store.history import read_history
from search.store.lease import Lease
from search.store.lost import account_for
from search.store.manifest import load_or_make
from search.store.reuse import check_source, reuse
from search.store.status import status
from search.store.store import Store
from search.store.testset import FILE, write_test_images
from search.study.study import Study
from stacnet.data.images import load

NO_HINTS = Hints()


def search(
    study: Study,
    out: str | Path,
    *,
    options: Options,
    reuse_from: str = "",
    hints: Hints = NO_HINTS,
) -> Summary:
    """Begin a study, or go on with it.

    Args:
        out: folder or s3:// address.
        reuse_from: another study whose finished trainings count.
        hints: files that tell a sampled study where to look first.

    Raises:
        ValueError: the study cannot be trained here, another driver is at work, the folder holds
            another study, the storage fails.
    """
    store, additions = Store(out), hints.read(study)
    study = admitted(store, study, address=options.cluster)
    if reuse_from:
        check_source(Store(reuse_from), study)
    with Lease(store.storage) as lease:
        store.begin(study)
        _note_test_images(store, study)
        if additions:
            write_extras(store.storage, replace(read_extras(store.storage), **additions))
        if reuse_from:
            _reuse(store, Store(reuse_from), study)
        return carry_out(store, lease, options)


def resume(out: str | Path, *, options: Options) -> Summary:
    """Run what is still owed.

    Raises:
        StudyError: there is no study, another driver is at work, the storage fails.
    """
    store = Store(out)
    study = ready(store, address=options.cluster)
    with Lease(store.storage) as lease:
        _note_test_images(store, study)
        return carry_out(store, lease, options)


def extend(out: str | Path, *, trials: int, promote: int = 0, options: Options) -> Summary:
    """More networks for a sampled study, or its best pruned ones to their end; and run them.

    Raises:
        StudyError: the study is not sampled; or as for `resume`.
    """
    store = Store(out)
    with_more_trials(store, trials=trials, promote=promote)  # refuses before it takes the lease
    preflight(store.study(), address=options.cluster)
    with Lease(store.storage) as lease:
        extras = with_more_trials(store, trials=trials, promote=promote)
        write_extras(store.storage, extras)
        return carry_out(store, lease, options)


def finalists(out: str | Path, *, options: Options) -> Summary:
    """Train the best, the picks, vanilla, SE and widened twins with the study's fresh seeds.

    Raises:
        StudyError: the search is not finished; or as for `resume`.
    """
    store = Store(out)
    now = status(store)
    if now.missing or now.running:
        raise StudyError(
            f"finalists need a finished search, got {now.missing} trainings missing: stac resume "
            f"goes on with them, those of finalists that are chosen included"
        )
    preflight(store.study(), address=options.cluster)
    with Lease(store.storage) as lease:
        write_extras(store.storage, with_finalists(store))
        return carry_out(store, lease, options)


def compact(out: str | Path) -> None:
    """Merge the store's small files, when those that are gone are accounted for.

    Raises:
        StudyError: a driver is at work on it.
    """
    store = Store(out)
    study = store.study()
    with Lease(store.storage) as lease:
        account_for(lease, study=study, store=store)
        merge_all(store)


def _note_test_images(store: Store, study: Study) -> None:
    """Keep what judging wants to know of the test images, unless it is kept already."""
    if store.storage.exists(FILE):
        return
    try:
        test = load(study.protocol.data).test
    except ValueError:  # what owes nothing may be resumed where its data is not
        return
    write_test_images(store.storage, test)


def _reuse(store: Store, source: Store, study: Study) -> None:
    known = set(read_history(store, study).records)
    reuse(store, source, study=study, among=load_or_make(store.storage, study), known=known)
