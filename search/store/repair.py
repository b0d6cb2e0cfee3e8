"""`stac repair`: sets damaged and foreign files aside, and says what is owed then."""

import time
from collections.abc import Iterator

from search.errors import StoreError
from search.store.damage import Damage, damages
from search.store.lease import FILE as LEASE_FILE
from search.store.lease import Lease
from search.store.lost import account_for
from search.store.manifest import load_or_make
from search.store.part import FOLDERS, DamagedPartError
from search.store.parts import is_in, read_part
from search.store.status import status
from search.store.store import STUDY_FILE, Store
from search.study.study import Study

ASIDE = "set-aside"
BEAT_S = 6.0  # a living driver has written its lease again by then


def repair(store: Store) -> Iterator[str]:
    """What was done, a sentence each, as it is done. Nothing is deleted.

    Raises:
        LeaseError: a driver is at work.
        StoreError: there is no study; or a part is of a newer version, which is no damage.
    """
    if STUDY_FILE not in store.storage.names():
        raise StoreError(f"a study folder must hold {STUDY_FILE}, got {store.address}")
    yield from _free_lease(store)
    with Lease(store.storage) as lease:
        found = list(damages(store))  # all of it, before anything is moved
        yield from (_set_aside(store, one) for one in found)
        if any(one.name == STUDY_FILE for one in found):
            return
        study = store.study()
        account_for(lease, study=study, store=store)
        yield from (_set_aside(store, one) for one in list(_of_other_protocols(store, study)))
        load_or_make(store.storage, study)
    owed = status(store).missing
    yield f"owes {owed} trainings: stac resume {store.address}" if owed else "owes nothing"


def _free_lease(store: Store) -> Iterator[str]:
    """Set a lease aside that nobody can read, and that no driver writes again."""

    def damaged() -> list[Damage]:
        return list(damages(store, only=LEASE_FILE))

    if damaged():
        time.sleep(BEAT_S)
        yield from (_set_aside(store, one) for one in damaged())


def _of_other_protocols(store: Store, study: Study) -> Iterator[Damage]:
    """Whole parts that hold not one row of this study's protocol."""
    mine = frozenset({study.protocol.protocol_id})
    if is_in(store.attempts().table["protocol_id"], mine).all():
        return
    for folder in FOLDERS:
        for name in store.part_names(folder):
            try:
                protocols = read_part(store.storage, folder, name, ["protocol_id"])["protocol_id"]
            except (DamagedPartError, FileNotFoundError):
                continue
            if len(protocols) and not is_in(protocols, mine).any():
                got = protocols[0].as_py()
                rule = f"{store.address}/{folder}/{name}: rows must be of protocol {min(mine)}"
                yield Damage(name=f"{folder}/{name}", rule=f"{rule}, got {got}", note="not counted")


def _set_aside(store: Store, damage: Damage) -> str:
    folder, _, name = damage.name.rpartition("/")
    target, taken = "/".join(part for part in (ASIDE, folder, name) if part), 0
    there = set(store.storage.names(target.rpartition("/")[0]))
    while f"{name}.{taken}" in there or (not taken and name in there):
        taken += 1
    target += f".{taken}" if taken else ""
    store.storage.move(damage.name, target)
    note = damage.note.replace("DIR", store.address)
    return f"{damage.rule}; set aside as {target} ({note})"
