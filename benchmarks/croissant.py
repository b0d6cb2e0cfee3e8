"""Croissant 1.0 metadata (JSON-LD) of a study that ships: a record set for each Parquet table."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from search.store.part import SCHEMAS

# The terms of the specification's own context; without all of them mlcroissant warns.
OWN = """citeAs column equivalentProperty extract field fileProperty fileObject fileSet format
    includes isLiveDataset jsonPath key md5 parentField path recordSet references regex repeated
    replace samplingRate separator source subField transform"""
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{name: f"cr:{name}" for name in OWN.split()},
}
PARQUET = "application/x-parquet"  # mlcroissant reads no other name of it


def digests(folder: Path) -> Iterator[tuple[str, str]]:
    """Name and SHA-256 of each file."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            name = path.relative_to(folder).as_posix()
            yield name, hashlib.sha256(path.read_bytes()).hexdigest()


def croissant(folder: Path, study: str) -> dict[str, Any]:
    """What `croissant.json` says of the study of this name in this folder.

    `mlcroissant.Dataset("croissant.json").records("cells")` reads the trainings; a table in several
    files is several record sets: cells, cells-2, ...
    """
    files = {file: digest for file, digest in digests(folder) if file.endswith(".parquet")}
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": f"stacnet-{study}",
        "description": f"Every training of the study {study}: an exhaustive search for the place "
        "and scale of attention in a small residual network.",
        "creator": {"@type": "sc:Organization", "name": "stacnet"},
        "citeAs": f"stacnet, study {study}, version 1.0.0",
        "datePublished": _last_day(folder),
        "license": "https://spdx.org/licenses/Apache-2.0.html",
        "version": "1.0.0",
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": file,
                "name": file,
                "contentUrl": file,
                "encodingFormat": PARQUET,
                "sha256": digest,
            }
            for file, digest in files.items()
        ],
        "recordSet": [
            _records(name, file, pq.read_schema(folder / file))
            for name, file in _named(files).items()
        ],
    }


def _last_day(folder: Path) -> str:
    """On which the last training ended."""
    ended = pq.read_table(folder / "cells", columns=["ended_at"])["ended_at"].drop_null()
    return max(ended.to_pylist()).date().isoformat()


def _named(files: Iterable[str]) -> dict[str, str]:
    """Name of a record set -> its file."""
    named: dict[str, str] = {}
    for file in files:
        table = file.split("/")[0].removesuffix(".parquet")
        count = sum(name.split("-")[0] == table for name in named)
        named[f"{table}-{count + 1}" if count else table] = file
    return named


def _records(name: str, file: str, stored: pa.Schema) -> dict[str, Any]:
    described = SCHEMAS.get(file.split("/")[0], stored)  # these files keep no descriptions
    fields = [_field(name, file, described.field(column)) for column in stored.names]
    return {"@type": "cr:RecordSet", "@id": name, "name": name, "field": fields}


def _field(table: str, file: str, field: pa.Field) -> dict[str, Any]:
    about = {key.decode(): text.decode() for key, text in (field.metadata or {}).items()}
    unit = f" ({about['unit']})" if about.get("unit") else ""
    description = about.get("description", "") + unit
    is_list = pa.types.is_list(field.type)
    return {
        "@type": "cr:Field",
        "@id": f"{table}/{field.name}",
        "name": field.name,
        **({"description": description.strip()} if description else {}),
        "dataType": _data_type(field.type.value_type if is_list else field.type),
        **({"repeated": True} if is_list else {}),
        "source": {"fileObject": {"@id": file}, "extract": {"column": field.name}},
    }


def _data_type(kind: pa.DataType) -> str:
    """Bits are text, as far as Croissant knows: mlcroissant gives both as bytes."""
    if pa.types.is_integer(kind):
        return "sc:Integer"
    if pa.types.is_floating(kind):
        return "sc:Float"
    if pa.types.is_boolean(kind):
        return "sc:Boolean"
    return "sc:DateTime" if pa.types.is_timestamp(kind) else "sc:Text"
