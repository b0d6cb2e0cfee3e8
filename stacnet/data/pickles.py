"""Reads pickled batches without executing them: names resolve to stand-ins, arrays stay on disk.

A pickle may name functions that unpickling then calls. Here only numpy's array reconstruction is
known, and even that is replaced by stand-ins that remember where the bytes lie. Memory and time are
bounded by the file: keys are flat (a nested one could take for ever to hash), no value is made into
text or an array before its type is known, and what is decoded is counted.
"""

import math
import pickle
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np

LARGE = 1 << 20  # bytes; a longer string stays on disk
DTYPES = {"u1", "i1", "i2", "i4", "i8", "f4", "f8"}
Key = str | bytes | int


@dataclass(frozen=True)
class Span:
    """Bytes of the file that were not read."""

    offset: int
    length: int

    def __len__(self) -> int:
        return self.length


@dataclass(frozen=True)
class StoredArray:
    """An array of a pickle: its shape, its type, and its bytes or where they lie."""

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype
    raw: bytes | bytearray | Span

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Rows start..stop-1 as an array of their own."""
        size = self.dtype.itemsize * int(np.prod(self.shape[1:]))
        if isinstance(self.raw, Span):
            with self.path.open("rb") as file:
                file.seek(self.raw.offset + start * size)
                data = file.read((stop - start) * size)
        else:
            data = bytes(self.raw[start * size : stop * size])
        return np.frombuffer(data, self.dtype).reshape(-1, *self.shape[1:])


def read_pickle(path: Path) -> Any:
    """The plain values of a pickle, with `StoredArray` for arrays; strings may come as bytes.

    Raises:
        ValueError: there is no such file, it is truncated, or it holds anything but plain values
            and arrays of numbers.
    """
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            return _Unpickler(_LazyFile(file, size), path, size=size).load()
    except (EOFError, struct.error):
        raise ValueError(f"{path}: truncated: ends before the pickle does") from None
    except pickle.UnpicklingError as error:
        truncated = "truncated" in str(error)
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{path}: {'truncated: ' if truncated else ''}{reason}") from None
    except Exception as error:  # whatever a malformed pickle does to the machine that reads it
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise ValueError(f"{path}: not a pickled batch: {reason}") from None


class _LazyFile:
    """A file whose long strings are skipped and remembered."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._size = file, size
        self.readline = file.readline

    def read(self, length: int) -> bytes | Span:
        start = self._file.tell()
        if start + length > self._size:
            raise EOFError
        if length < LARGE:
            return self._file.read(length)
        self._file.seek(length, 1)
        return Span(start, length)


_PurePython: Any = vars(pickle)["_Unpickler"]  # the one in C would read every array


class _Unpickler(_PurePython):
    dispatch: ClassVar = dict(_PurePython.dispatch)

    def __init__(self, file: _LazyFile, path: Path, *, size: int) -> None:
        super().__init__(file, encoding="bytes")
        self._path = path
        # Made for each file: a hostile pickle can change what it is handed, but nothing else.
        self._known = _stand_ins(path, size=size)

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        known = self._known.get((_text(module).replace("numpy._core", "numpy.core"), _text(name)))
        if known is None:
            raise pickle.UnpicklingError(
                f"refused: a batch may hold plain values and arrays only, got {module}.{name}"
            )
        return known

    def load_bytearray8(self) -> None:
        (length,) = struct.unpack("<Q", self.read(8))
        self.append(self.read(length))

    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8

    def load_dict(self) -> None:
        items = self.pop_mark()
        self.append({})
        self._set(items)

    dispatch[pickle.DICT[0]] = load_dict

    def load_setitem(self) -> None:
        value = self.stack.pop()
        self._set([self.stack.pop(), value])

    dispatch[pickle.SETITEM[0]] = load_setitem

    def load_setitems(self) -> None:
        self._set(self.pop_mark())

    dispatch[pickle.SETITEMS[0]] = load_setitems

    def load_set(self) -> None:
        raise pickle.UnpicklingError("refused: a batch holds no sets")

    for _code in (pickle.EMPTY_SET, pickle.FROZENSET, pickle.ADDITEMS):
        dispatch[_code[0]] = load_set

    def _set(self, items: list[Any]) -> None:
        target = self.stack[-1]
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(target, dict) or not isinstance(key, Key):
                raise pickle.UnpicklingError(
                    f"refused: a key must be text or a number, got {type(key).__name__}"
                )
            target[key] = value


class _Encode:
    """Bytes that were written as text, each text of the file once: they are counted.

    Args:
        size: of the file, bytes.
    """

    def __init__(self, size: int) -> None:
        self._left = size

    def __call__(self, text: str, encoding: str) -> bytes:
        self._left -= len(text)
        if self._left < 0:
            raise pickle.UnpicklingError("refused: a text is decoded again and again")
        return text.encode({"latin1": "latin1"}[_text(encoding)])


def _stand_ins(path: Path, *, size: int) -> dict[tuple[str, str], Callable[..., Any]]:
    class Type:
        def __init__(self, name: Any, *_: Any) -> None:
            self.name, self.order = _text(name), "<"

        def __setstate__(self, state: tuple[Any, ...]) -> None:
            self.order = _text(state[1])

        def resolve(self) -> np.dtype:
            if self.name not in DTYPES:
                raise pickle.UnpicklingError(f"refused: an array of type {self.name}")
            return np.dtype((self.order if self.order in "<>" else "<") + self.name)

    class Array:
        array: StoredArray

        def __setstate__(self, state: tuple[Any, ...]) -> None:
            _, shape, kind, is_fortran, raw = state
            self.array = _stored(path, shape, kind.resolve(), is_fortran, raw)

    def reconstruct(*_: Any) -> Array:
        return Array()

    def from_buffer(raw: Any, kind: Type, shape: Any, order: str) -> Array:
        result = Array()
        result.array = _stored(path, shape, kind.resolve(), order != "C", raw)
        return result

    return {
        ("numpy.core.multiarray", "_reconstruct"): reconstruct,
        ("numpy.core.numeric", "_frombuffer"): from_buffer,
        ("numpy", "ndarray"): Array,
        ("numpy", "dtype"): Type,
        ("_codecs", "encode"): _Encode(size),
    }


def _stored(path: Path, shape: Any, dtype: np.dtype, is_fortran: Any, raw: Any) -> StoredArray:
    if not isinstance(shape, tuple) or not all(type(n) is int and 0 <= n < 2**40 for n in shape):
        raise pickle.UnpicklingError("an array must have a shape of whole numbers")
    expected = dtype.itemsize * math.prod(shape)
    got = len(raw) if isinstance(raw, bytes | bytearray | Span) else -1
    if (is_fortran and len(shape) > 1) or got != expected or len(shape) > 8:
        raise pickle.UnpicklingError(
            f"an array of shape {shape[:8]} must be in C order with {expected} bytes, got {got}"
        )
    return StoredArray(path, shape, dtype, raw)


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("ascii")
    if not isinstance(value, str):
        raise pickle.UnpicklingError(f"a name must be text, got {type(value).__name__}")
    return value
