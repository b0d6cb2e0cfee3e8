"""The networks of a study, told apart and priced once, so that no resume does it again."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa

from search.errors import StoreError, StudyError
from search.store.rows import study_and_space_id
from search.store.sealed import DAMAGE, seal_table, unseal_table
from search.store.storage import Storage
from search.study.study import Exhaustive, Study

if TYPE_CHECKING:
    from stacnet.cost import Cost

FILE = "manifest.parquet"
SPACE = b"space_id"  # entry of its metadata
LARGEST = 200_000  # points; a sampled study of a larger space goes without a manifest
MANIFEST = pa.schema(
    [
        pa.field("point", pa.int64(), metadata={"description": "first index of the network"}),
        pa.field("network_id", pa.string(), metadata={"description": "hash of the network"}),
        pa.field("params", pa.int64(), metadata={"unit": "parameters"}),
        pa.field("macs", pa.int64(), metadata={"unit": "MACs"}),
    ]
)


@dataclass(frozen=True)
class Manifest:
    """The distinct networks of a space that meet its bounds.

    Args:
        points: index of each in the space.
        network_ids: of each.
    """

    points: tuple[int, ...]
    network_ids: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.points)

    @cached_property
    def members(self) -> frozenset[str]:
        """The network ids, to look one up."""
        return frozenset(self.network_ids)


def load_or_make(storage: Storage, study: Study) -> Manifest | None:
    """The study's manifest; None for a sampled study of a space too large to list.

    One that is damaged, another space's, or so old that it cannot prove itself is made again.
    """
    if is_too_large(study):
        return None
    try:
        table, is_proven = _stored(storage)
    except (FileNotFoundError, StoreError):
        table, is_proven = MANIFEST.empty_table(), False
    if not is_proven or broken_rule(table, study):
        storage.write(FILE, seal_table(make(study)))
    return load(storage)


def is_too_large(study: Study) -> bool:
    """Whether the study goes without a manifest."""
    return study.space.size() > LARGEST and not isinstance(study.strategy, Exhaustive)


def load(storage: Storage) -> Manifest | None:
    """The manifest as stored, or None.

    Raises:
        StoreError: it is damaged.
    """
    try:
        return _listed(_stored(storage)[0])
    except FileNotFoundError:
        return None


def load_or_list(storage: Storage, study: Study) -> Manifest | None:
    """The manifest as stored; if it is damaged or not this study's, what it should say."""
    try:
        table = _stored(storage)[0]
    except FileNotFoundError:
        return None
    except StoreError:
        return None if is_too_large(study) else _listed(make(study))
    return _listed(make(study) if broken_rule(table, study) else table)


def check_manifest(storage: Storage, study: Study) -> str | None:
    """The rule that the stored manifest breaks; None if it is sound, or there is none."""
    try:
        table = _stored(storage)[0]
    except FileNotFoundError:
        return None
    except StoreError as error:
        return str(error)
    rule = broken_rule(table, study) or _differs(table, study)
    return f"{storage.address}/{FILE}: {rule}" if rule else None


def broken_rule(table: pa.Table, study: Study) -> str | None:
    """What shows at a glance that a manifest is not this study's."""
    got = (table.schema.metadata or {}).get(SPACE)
    wanted = study_and_space_id(study)[1]
    if got is not None and got.decode() != wanted:
        return f"a manifest must be of the space {wanted}, got {got.decode()}"
    return None


def _differs(table: pa.Table, study: Study) -> str | None:
    """The first line that the space denies, or that is missing."""
    found, wanted = _listed(table), study.space.first_index
    for point, name in zip(found.points, found.network_ids, strict=True):
        if wanted.get(name) != point:
            return f"network_id of point {point} must be of the space, got {name}"
    if len(found.members) != len(found):
        return f"each network must be there once, got {len(found)} of {len(found.members)}"
    if not is_bounded(study) and len(found) != len(wanted):
        return f"a manifest must list all {len(wanted)} networks, got {len(found)}"
    return None


def _stored(storage: Storage) -> tuple[pa.Table, bool]:
    """The table, and whether its digest proves it; one of version 1 has none, and no metadata."""
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


def _listed(table: pa.Table) -> Manifest:
    return Manifest(tuple(table["point"].to_pylist()), tuple(table["network_id"].to_pylist()))


def meets_bounds(study: Study, price: "Cost") -> bool:
    """Whether a network of this cost is within the space's bounds."""
    from stacnet.cost import cost

    space, vanilla = study.space, cost(study.space.base)
    bounds = (
        (space.max_params_ratio, price.params / vanilla.params),
        (space.max_macs_ratio, price.macs / vanilla.macs),
    )
    return all(bound is None or ratio <= bound for bound, ratio in bounds)


def is_bounded(study: Study) -> bool:
    """Whether networks must be priced before they are trained."""
    return study.space.max_params_ratio is not None or study.space.max_macs_ratio is not None


def make(study: Study) -> pa.Table:
    """The manifest as a table."""
    points = study.space.first_index
    prices = _priced(study, points) if is_bounded(study) else {}
    rows = [
        {
            "point": point,
            "network_id": name,
            "params": prices[name].params if name in prices else None,
            "macs": prices[name].macs if name in prices else None,
        }
        for name, point in points.items()
        if name not in prices or meets_bounds(study, prices[name])
    ]
    if not rows:
        space = study.space
        raise StudyError(
            f"bounds must leave at least one network, got max_params_ratio="
            f"{space.max_params_ratio} max_macs_ratio={space.max_macs_ratio}"
        )
    about = {"table": "manifest", SPACE: study_and_space_id(study)[1]}
    return pa.Table.from_pylist(rows, schema=MANIFEST.with_metadata(about))


def _priced(study: Study, points: dict[str, int]) -> "dict[str, Cost]":
    from stacnet.cost import price  # torch, which a resumed search does not need

    return {name: price(study.space.spec(point)) for name, point in points.items()}
