"""Bytes that prove their own wholeness: a digest in a part's name, in JSON, in a table's metadata.

Parquet's own page checksums cover the pages but neither their headers nor the footer, so that a
flipped bit there could still be read as another number. A file without a digest is an older one, or
made by hand, and is read as it is.
"""

import io
import json
import re
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from search.errors import StoreError
from stacnet.ids import short_hash

FIELD = "checksum"
_KIND = "sha256:"
_NAME = re.compile(r"(?P<stem>.+)\.(?P<digest>[0-9a-f]{16})\.parquet", re.ASCII)
# What pyarrow raises on bytes that are no Parquet file, or that are damaged.
DAMAGE = (pa.ArrowException, OSError, ValueError, TypeError, KeyError, OverflowError)


def digest(data: bytes, *, of: str = "") -> str:
    """16 hex digits of the sha256 of a name and its bytes."""
    return short_hash(of.encode() + b"\n" + data)


def file_name(folder: str, stem: str, data: bytes) -> str:
    """Name of a Parquet file with its digest: `<stem>.<digest>.parquet`."""
    return f"{stem}.{digest(data, of=f'{folder}/{stem}')}.parquet"


def stem_of(name: str) -> str:
    """The name without digest and ending."""
    match = _NAME.fullmatch(name)
    return match["stem"] if match else name.removesuffix(".parquet")


def has_digest(name: str) -> bool:
    """Whether the name of a Parquet file holds a digest."""
    return _NAME.fullmatch(name) is not None


def fits_its_name(folder: str, name: str, data: bytes) -> bool | None:
    """Whether the bytes are those that got this name; None for a name without digest."""
    match = _NAME.fullmatch(name)
    return match and digest(data, of=f"{folder}/{match['stem']}") == match["digest"]


def seal(plain: dict[str, Any], *, indent: int | None = None) -> str:
    """A JSON object with its checksum as the last field."""
    return json.dumps(plain | {FIELD: _checksum(plain)}, indent=indent)


def unseal(text: str | bytes, *, source: str) -> Any:
    """The JSON value, without its checksum; one that never had a checksum is taken as it is.

    Raises:
        StoreError: it is not JSON, or not as it was written.
    """
    try:
        plain = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{source}: must be JSON, got {error}") from None
    if not isinstance(plain, dict):
        return plain
    values = [value for value in plain.values() if isinstance(value, str)]
    claimed = plain.pop(FIELD, None)
    if claimed is None and not any(value.startswith(_KIND) for value in values):
        return plain  # the second look finds a checksum whose name was damaged
    if claimed != _checksum(plain):
        raise StoreError(
            f"{source}: must be as it was written, got another checksum: "
            "it was damaged, or changed by hand"
        )
    return plain


def seal_table(table: pa.Table) -> bytes:
    """A Parquet file that is read whole: the digest of its content is in its metadata."""
    metadata = dict(table.schema.metadata or {}) | {FIELD.encode(): _content(table).encode()}
    return to_parquet(table.replace_schema_metadata(metadata))


def unseal_table(data: bytes, *, source: str) -> tuple[pa.Table, bool]:
    """Inverse of `seal_table`; and whether there was a digest.

    Raises:
        StoreError: it is not a Parquet file, or not as it was written.
    """
    try:
        file = pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True)
        table = file.read()  # read_table would import pyarrow.dataset, for half a second
        metadata = dict(table.schema.metadata or {})
        claimed = metadata.pop(FIELD.encode(), None)
        table = table.replace_schema_metadata(metadata)
        whole = claimed is None or claimed.decode() == _content(table)
    except DAMAGE as error:
        raise StoreError(f"{source}: must be Parquet, got {error}") from None
    if not whole:
        raise StoreError(f"{source}: must be as it was written, got another checksum")
    return table, claimed is not None


def to_parquet(
    table: pa.Table, *, notes: dict[str, str] | None = None, small: bool = False
) -> bytes:
    """A Parquet file with page checksums.

    Args:
        notes: further entries of its key-value metadata.
        small: whether it holds few rows, which dictionaries would only make longer.
    """
    sink = io.BytesIO()
    # Zstandard would take a sixth less room, and twice the time to read.
    shape: dict[str, Any] = {"use_dictionary": False} if small else {"compression": "lz4"}
    shape |= {"write_page_checksum": True, "write_statistics": False}
    with pq.ParquetWriter(sink, table.schema, **shape) as writer:
        writer.write_table(table)
        if notes:
            writer.add_key_value_metadata(notes)
    return sink.getvalue()


def terse(schema: pa.Schema) -> pa.Schema:
    """The schema with units and directions, without descriptions: a third of a row's file."""
    fields = []
    for one in schema:
        about = {k: v for k, v in (one.metadata or {}).items() if k != b"description"}
        fields.append(one.with_metadata(about or None))
    return pa.schema(fields, metadata=schema.metadata)


def _checksum(plain: dict[str, Any]) -> str:
    return _KIND + digest(json.dumps(plain, sort_keys=True).encode())


def _content(table: pa.Table) -> str:
    """Digest of names, values and metadata; not of how they are encoded."""
    metadata = sorted((k.decode(), v.decode()) for k, v in (table.schema.metadata or {}).items())
    return digest(
        json.dumps([table.column_names, metadata, table.to_pydict()], default=str).encode()
    )
