"""map.parquet: the map as a table that explains itself; units are in the field metadata."""

from dataclasses import asdict, fields

import pyarrow as pa

from analysis.look.classmap import ClassRepMap, Reading
from search.errors import StoreError
from search.store.sealed import DAMAGE, seal_table, unseal_table

ATTENDED = "attended.parquet"  # the map of the best network
MAP_SCHEMA_VERSION = 3  # from 2 on it proves its own wholeness, from 3 on it has dimensions
_CRS = "0 at chance, 1 at the ceiling"
_ABOUT: dict[str, tuple[pa.DataType, str, str]] = {
    "source": (pa.string(), "trained, untrained, pixels or permuted labels", ""),
    "estimator": (pa.string(), "knn, ncm (nearest class mean) or ridge (linear probe)", ""),
    "place": (pa.string(), "module, or stage as the mean over its modules", ""),
    "stage": (pa.int32(), "number of the stage from 0; -1 for a single module", ""),
    "cells": (pa.int32(), "side of the pooled map", "cells per side"),
    "native": (pa.bool_(), "whether this is the map's own size, without pooling", ""),
    "crs": (pa.float64(), "class consistency", _CRS),
    "lay": (pa.float64(), "layout share: crs less crs with permuted cells", _CRS),
    "head": (pa.float64(), "headroom: crs less crs of the last layer at one cell", _CRS),
    "gain": (pa.float64(), "crs less crs of this place at one cell", _CRS),
    "below_best": (pa.float64(), "crs of the place's best scale less crs", _CRS),
    "retention": (pa.float64(), "Jaccard index of neighbourhoods, pooled against native", "share"),
    "agreement": (pa.float64(), "overlap of class responses, pooled against native", "share"),
    "rank": (pa.float64(), "Spearman correlation of class matrices, pooled against native", ""),
    "bag": (pa.float64(), "class consistency of the cells as a set", _CRS),
    "dimension": (pa.float64(), "intrinsic dimension of the responses (TwoNN)", ""),
    "matrix": (pa.list_(pa.float64()), "class matrix by rows: whose neighbours are whose", "share"),
}


def _field(name: str) -> pa.Field:
    if name.endswith("_se"):
        kind, about, unit = pa.float64(), f"standard error of {name[:-3]}", _CRS
    else:
        kind, about, unit = _ABOUT[name]
    metadata = {"description": about} | ({"unit": unit} if unit else {})
    return pa.field(name, kind, metadata=metadata)


MAP = pa.schema(
    [_field(field.name) for field in fields(Reading)],
    metadata={"schema_version": str(MAP_SCHEMA_VERSION), "table": "map"},
)


def map_to_parquet(chart: ClassRepMap) -> bytes:
    """The map as one Parquet file."""
    facts = {name: str(getattr(chart, name)) for name in _COUNTS}
    table = pa.Table.from_pylist([asdict(r) for r in chart.readings], schema=MAP)
    return seal_table(table.replace_schema_metadata((MAP.metadata or {}) | facts))


def map_from_parquet(data: bytes, *, source: str) -> ClassRepMap:
    """Inverse of `map_to_parquet`.

    Raises:
        ValueError: not a map, damaged, or of a newer version.
    """
    table, is_proven = unseal_table(data, source=source)
    facts = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    version = facts.get("schema_version", "0")
    known = [str(number) for number in range(1, MAP_SCHEMA_VERSION + 1)]
    if facts.get("table") != "map" or version not in known:
        raise ValueError(
            f"{source}: must be a map of schema version at most {MAP_SCHEMA_VERSION}, got table "
            f"{facts.get('table')} of version {version}"
        )
    if not is_proven and version != "1":
        raise StoreError(f"{source}: must be as it was written, got no checksum")
    try:
        if "dimension" not in table.column_names and version in ("1", "2"):
            unknown = pa.array([float("nan")] * table.num_rows)
            table = table.append_column("dimension", unknown)
        rows = table.select(MAP.names).cast(MAP).to_pylist()
        readings = tuple(Reading(**row | {"matrix": tuple(row["matrix"])}) for row in rows)
        counts = {name: int(facts[name]) for name in _COUNTS if name in facts}
        return ClassRepMap(readings=readings, draws=(), **counts)
    except DAMAGE as error:
        raise StoreError(f"{source}: must be a map, got {error}") from None


_COUNTS = tuple(
    field.name for field in fields(ClassRepMap) if field.name not in ("readings", "draws")
)
