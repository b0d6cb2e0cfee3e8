"""A study (or another value) from a file: `file.py:function`, with its neighbours importable."""

import inspect
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from search.study.study import Study
from stacnet.python_file import load_file, neighbours_importable

T = TypeVar("T")


def study_from_file(name: str) -> Study:
    """The study that a function without arguments returns (see `value_from_file`)."""
    return value_from_file(name, Study)


def value_from_file(name: str, kind: type[T]) -> T:
    """What a function without arguments returns.

    Args:
        name: `file.py:function`, or `file.py` if it has a single one.
        kind: what it must be.

    Raises:
        ValueError: there is no such file or function, or it gives something else; a fault in the
            file is named by its line.
    """
    file, _, function = name.rpartition(":") if ".py:" in name else (name, "", "")
    path = Path(file)
    if not path.is_file():
        raise ValueError(f"{kind.__name__.lower()} file must exist, got {path}")
    with neighbours_importable(path):
        module = _guarded(
            lambda: load_file(path, name=f"study_file_{path.stem}"), kind, path=path, what=str(path)
        )
        function, make = _chosen(module, function, kind, path=path)
        value = _guarded(make, kind, path=path, what=f"{path}:{function}")
    if not isinstance(value, kind):
        raise ValueError(
            f"{path}:{function} must return a {kind.__name__}, got {type(value).__name__}"
        )
    return value


def _chosen(
    module: ModuleType, function: str, kind: type, *, path: Path
) -> tuple[str, Callable[[], Any]]:
    """The function of that name; without name, the file's only one."""
    known = dict(_makers(module, kind))
    listed = ", ".join(known) or f"none that returns a {kind.__name__}"
    if function:
        found = getattr(module, function, None)
        if not callable(found):
            raise ValueError(f"{path} must have the function {function}, got {listed}")
        return function, found
    if len(known) != 1:
        raise ValueError(f"{path} must be followed by :function, one of {listed}")
    return next(iter(known.items()))


def _makers(module: ModuleType, kind: type) -> Iterator[tuple[str, Callable[[], Any]]]:
    """The file's own public functions that can be called as they are and may return one."""
    for name, value in vars(module).items():
        if inspect.isfunction(value) and value.__module__ == module.__name__ and name[0] != "_":
            signature = inspect.signature(value)
            needed = [p for p in signature.parameters.values() if p.default is p.empty]
            if not needed and signature.return_annotation in (signature.empty, kind, kind.__name__):
                yield name, value


def _guarded(call: Callable[[], Any], wanted: type, *, path: Path, what: str) -> Any:
    """What the file's code gives; its fault as one line with the place in the file."""
    try:
        return call()
    except (Exception, SystemExit) as error:
        frames = traceback.extract_tb(error.__traceback__)
        lines = [f.lineno for f in frames if Path(f.filename).absolute() == path.absolute()]
        at = f" (line {lines[-1]})" if lines else ""  # a syntax error says its line itself
        name = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        raise ValueError(
            f"{what} must return a {wanted.__name__}, got {name}{error}{at}"
        ) from error
