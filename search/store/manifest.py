"""manifest.parquet: the networks of a study, told apart once, so that no resume does it again."""

import pyarrow as pa

from search.errors import StoreError
from search.store.rows import study_and_space_id
from search.store.sealed import DAMAGE, seal_table, unseal_table
from search.store.storage import Storage
from search.study.networks import Networks, is_too_large, networks
from search.study.space import Space
from search.study.study import Study

FILE = "manifest.parquet"
SPACE = b"space_id"  # entry of its metadata
MANIFEST = pa.schema(
    [
        pa.field("point", pa.int64(), metadata={"description": "first index of the network"}),
        pa.field("network_id", pa.string(), metadata={"description": "hash of the network"}),
        pa.field("params", pa.int64(), metadata={"unit": "parameters"}),
        pa.field("macs", pa.int64(), metadata={"unit": "MACs"}),
    ]
)


def load_or_make(storage: Storage, study: Study) -> Networks | None:
    """The study's networks; None for a sampled study of a space too large to list.

    Raises:
        StudyError: no network meets the bounds.
    """
    if is_too_large(study):
        return None
    found = _proven(storage, study)
    if found is None:
        found = networks(study.space)
        storage.write(FILE, seal_table(_table(found, space_id=study_and_space_id(study)[1])))
    return found


def load_or_list(storage: Storage, study: Study) -> Networks | None:
    """As `load_or_make`, writing nothing; None also where there is no manifest yet."""
    if is_too_large(study) or not storage.exists(FILE):
        return None
    return _proven(storage, study) or networks(study.space)


def check_manifest(storage: Storage, study: Study) -> str | None:
    """The rule that the stored manifest breaks; None if it is sound, or there is none."""
    try:
        table = read_manifest(storage)[0]
    except FileNotFoundError:
        return None
    except StoreError as error:
        return str(error)
    rule = broken_rule(table, study) or _differs(_listed(table, study.space))
    return f"{storage.address}/{FILE}: {rule}" if rule else None


def broken_rule(table: pa.Table, study: Study) -> str | None:
    """What shows at a glance that a manifest is not this study's."""
    got = (table.schema.metadata or {}).get(SPACE)
    wanted = study_and_space_id(study)[1]
    if got is not None and got.decode() != wanted:
        return f"a manifest must be of the space {wanted}, got {got.decode()}"
    return None


def _differs(found: Networks) -> str | None:
    """The first line that the space denies, or that is missing."""
    wanted = networks(found.space)
    for point, name in zip(found.points, found.network_ids, strict=True):
        if wanted.point(name) != point:
            return f"network_id of point {point} must be of the space, got {name}"
    if len(found.row) != len(found):
        return f"each network must be there once, got {len(found)} of {len(found.row)}"
    if len(found) != len(wanted):
        return f"a manifest must list all {len(wanted)} networks, got {len(found)}"
    return None


def read_manifest(storage: Storage) -> tuple[pa.Table, bool]:
    """The table, and whether its digest proves it; one of version 1 has none, and no metadata.

    Raises:
        FileNotFoundError: there is none.
        StoreError: it is damaged.
    """
    source = f"{storage.address}/{FILE}"
    table, is_proven = unseal_table(storage.read(FILE), source=source)
    metadata = table.schema.metadata or {}
    if metadata and not is_proven:
        raise StoreError(f"{source}: must be as it was written, got no checksum")
    try:
        table = table.select(MANIFEST.names).cast(MANIFEST)
        if table["point"].null_count or table["network_id"].null_count:
            raise StoreError(f"{source}: point and network_id must be there in each row, got null")
    except DAMAGE as error:
        raise StoreError(f"{source}: must be a manifest, got {error}") from None
    return table.replace_schema_metadata(metadata), is_proven


def _proven(storage: Storage, study: Study) -> Networks | None:
    """As stored; None if there is none, or it is damaged, another space's, or without digest."""
    try:
        table, is_proven = read_manifest(storage)
    except (FileNotFoundError, StoreError):
        return None
    is_good = is_proven and not broken_rule(table, study)
    return _listed(table, study.space) if is_good else None


def _listed(table: pa.Table, space: Space) -> Networks:
    names = table["network_id"].to_pylist()
    return Networks(space, tuple(table["point"].to_pylist()), tuple(names))


def _table(found: Networks, *, space_id: str) -> pa.Table:
    """As it is stored; prices where the space has bounds on them."""
    is_priced = found.space.is_bounded
    columns = {
        "point": found.points,
        "network_id": found.network_ids,
        "params": found.params_N if is_priced else pa.nulls(len(found)),
        "macs": found.macs_N if is_priced else pa.nulls(len(found)),
    }
    schema = MANIFEST.with_metadata({"table": "manifest", SPACE: space_id})
    return pa.table(columns, schema=schema)
