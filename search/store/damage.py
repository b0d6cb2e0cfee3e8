"""Every file of a study's folder that is damaged or foreign: what it breaks, and what is lost."""

from collections.abc import Iterator
from dataclasses import dataclass

from search.errors import StorageError, StoreError, UnreadableError
from search.store.extras import read_extras
from search.store.manifest import FILE as MANIFEST_FILE
from search.store.manifest import check_manifest
from search.store.part import FOLDERS, SCHEMAS, DamagedPartError, Folder
from search.store.parts import read_part
from search.store.past import Past
from search.store.sealed import has_digest, unseal_table
from search.store.store import Store
from search.store.testset import read_test_images
from stacnet.checkpoint import CheckpointError, prove
from stacnet.ids import short_hash

# Files that there are once: what is lost with each, or how to make it again.
NOTES = {
    "study.json": "write it again: stac search STUDY --out DIR, with the same study",
    "extras.json": "lost: added trials, promotions, warm starts, a prior, finalists",
    "lease.json": "lost: which trainings ran when the last driver ended, and what they cost",
    "manifest.parquet": "made again",
    "test_images.parquet": "made again: stac resume DIR",
    "map.parquet": "make it again: stac classrepsim DIR",
    "picks.json": "make it again: stac classrepsim DIR",
    "attended.parquet": "make it again: stac finalists DIR",
    "replays.json": "make it again: stac replay DIR",
}


@dataclass(frozen=True, kw_only=True)
class Damage:
    """A file that nobody reads as it is.

    Args:
        name: below the study's folder.
        rule: what it breaks; names the file.
        note: what is lost with it, or how to make it again.
    """

    name: str
    rule: str
    note: str


def damages(of: Store | Past, *, only: str = "") -> Iterator[Damage]:
    """All of them; or the one file that there is once, if it is damaged.

    Args:
        of: the store, or a look at it that has read the parts already.

    Raises:
        StorageError: the storage fails.
        StoreError: a part is of a newer version.
    """
    past = of if isinstance(of, Past) else Past(of, columns=(), curve=None)
    store = past.store
    there = [name for name in store.storage.names() if name in NOTES]
    for name in sorted(there, key=list(NOTES).index):
        if only in ("", name):
            yield from _once(store, name)
    for folder in () if only else FOLDERS:
        yield from _foreign(store, folder)
        yield from _parts(past, folder)
    if not only:
        yield from _weights(store)
        yield from _sources(store)


def _once(store: Store, name: str) -> Iterator[Damage]:
    """A file that there is once."""
    try:
        _try(store, name)
    except FileNotFoundError:
        if name in store.storage.names():
            yield _damage(store, name, "must be a file, got a link to nowhere")
    except StorageError as error:
        if not isinstance(error, UnreadableError):
            raise
        yield Damage(name=name, rule=str(error), note=NOTES[name])
    except ValueError as error:
        yield Damage(name=name, rule=str(error), note=NOTES[name])


def _try(store: Store, name: str) -> None:
    """Read the file as whoever needs it does."""
    match name:
        case "study.json":
            store.study()
        case "extras.json":
            read_extras(store.storage)
        case "test_images.parquet":
            read_test_images(store.storage)
        case "manifest.parquet" | "map.parquet" | "attended.parquet":
            source = f"{store.address}/{name}"
            unseal_table(store.storage.read(name), source=source)
            if name == MANIFEST_FILE and (rule := _manifest_rule(store)):
                raise StoreError(rule)
        case _:
            store.storage.read_json(name)


def _manifest_rule(store: Store) -> str | None:
    try:
        return check_manifest(store.storage, store.study())
    except ValueError:
        return None  # the study itself is damaged


def _sources(store: Store) -> Iterator[Damage]:
    """Files that a network is made in: their name is the hash of their text."""
    for name in store.storage.names("sources"):
        text = store.storage.read(f"sources/{name}").decode(errors="replace")
        if f"{short_hash(text)}.py" != name:
            rule = f"{store.address}/sources/{name}: must be the text that it is named by"
            note = "put the network's file there again, under that name"
            yield Damage(name=f"sources/{name}", rule=rule, note=note)


def _foreign(store: Store, folder: Folder) -> Iterator[Damage]:
    """What lies among the parts and cannot be one."""
    files = set(store.storage.files(folder))
    for name in store.storage.names(folder):
        if name not in files:
            yield _damage(store, f"{folder}/{name}", "a part must be a regular file")
        elif not name.endswith(".parquet"):
            yield _damage(store, f"{folder}/{name}", "a part must be named .parquet")


def _parts(past: Past, folder: Folder) -> Iterator[Damage]:
    found, store = past.readings[folder], past.store
    for name, rule in sorted(found.damaged.items()):
        yield Damage(name=name, rule=rule, note=_lost(folder))
    for name in found.names:
        if not has_digest(name):  # nothing proves the columns that were not read
            try:
                read_part(store.storage, folder, name, SCHEMAS[folder].names)
            except DamagedPartError as error:
                yield Damage(name=f"{folder}/{name}", rule=str(error), note=_lost(folder))
            except FileNotFoundError:
                continue


def _weights(store: Store) -> Iterator[Damage]:
    for name in _weight_names(store):
        try:
            prove(store.storage.read(name))
        except FileNotFoundError:
            continue
        except (CheckpointError, UnreadableError) as error:
            rule = f"{store.address}/{name}: {error}"
            note = "the one before is used" if name.startswith("checkpoints") else "weights lost"
            yield Damage(name=name, rule=rule, note=note)


def _weight_names(store: Store) -> Iterator[str]:
    yield from (f"weights/{name}" for name in store.storage.names("weights"))
    for training_id in store.storage.names("checkpoints"):
        yield from (
            f"checkpoints/{training_id}/{n}"
            for n in store.storage.names(f"checkpoints/{training_id}")
        )


def _damage(store: Store, name: str, rule: str) -> Damage:
    note = NOTES.get(name) or _lost(name.partition("/")[0])
    return Damage(name=name, rule=f"{store.address}/{name}: {rule}", note=note)


def _lost(folder: str) -> str:
    return (
        "its rows" if folder == "cells" else "its curves, and with them the rows of these trainings"
    )
