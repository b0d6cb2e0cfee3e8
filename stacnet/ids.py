"""Ids: 16 hex digits that are equal for equal values, on every machine and in every version."""

import hashlib


def short_hash(data: str | bytes) -> str:
    """16 hex digits of the sha256 of bytes, or of a text's UTF-8."""
    data = data.encode() if isinstance(data, str) else data
    return hashlib.sha256(data).hexdigest()[:16]
