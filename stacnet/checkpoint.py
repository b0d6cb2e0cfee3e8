"""Checkpoints as bytes: torch.save framed by a sha256, read with weights_only."""

import hashlib
import io
import pickle
from typing import Any

MAGIC = b"stacnet1"
HEADER = len(MAGIC) + 32


class CheckpointError(ValueError):
    """The bytes are not a whole checkpoint."""


def dumps(state: Any) -> bytes:
    """Tensors and plain values, nested, as bytes that prove their own wholeness."""
    import torch

    buffer = io.BytesIO()
    torch.save(state, buffer)
    payload = buffer.getvalue()
    return MAGIC + hashlib.sha256(payload).digest() + payload


def prove(data: bytes) -> bytes:
    """What was framed.

    Raises:
        CheckpointError: the data is torn, altered, or not a checkpoint.
    """
    if data[: len(MAGIC)] != MAGIC:
        raise CheckpointError(f"a checkpoint must begin with {MAGIC!r}, got {data[:8]!r}")
    payload = data[HEADER:]
    if hashlib.sha256(payload).digest() != data[len(MAGIC) : HEADER]:
        raise CheckpointError(
            f"checkpoint is torn or altered: sha256 differs, got {len(data)} bytes"
        )
    return payload


def loads(data: bytes) -> Any:
    """Inverse of `dumps`, on the CPU.

    Raises:
        CheckpointError: the data is torn, altered, not a checkpoint, or holds more than tensors
            and plain values.
    """
    import torch

    payload = prove(data)
    try:
        return torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"checkpoint holds more than tensors and values: {reason}") from None
