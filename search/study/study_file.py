"""A study from a Python file: `file.py:function`, with its neighbours importable."""

import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from search.study.study import Study


def study_from_file(name: str) -> Study:
    """The study that a function without arguments returns.

    Args:
        name: `file.py:function`, or `file.py` if it has a single one.

    Raises:
        ValueError: there is no such file or function, or it does not give a study; a fault in the
            file is named by its line.
    """
    file, _, function = name.rpartition(":") if ".py:" in name else (name, "", "")
    path = Path(file)
    if not path.is_file():
        raise ValueError(f"study file must exist, got {path}")
    with _importable(path.parent):
        module = _guarded(lambda: _load(path), path=path, what=str(path))
        function, make = _chosen(module, function, path=path)
        study = _guarded(make, path=path, what=f"{path}:{function}")
    if not isinstance(study, Study):
        raise ValueError(f"{path}:{function} must return a Study, got {type(study).__name__}")
    return study


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """As for a script: the file may import what lies beside it."""
    before = list(sys.path)
    sys.path.insert(0, str(folder.resolve()))
    try:
        yield
    finally:
        sys.path[:] = before


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"study_file_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its own dataclasses look for it there
    spec.loader.exec_module(module)
    return module


def _chosen(module: ModuleType, function: str, *, path: Path) -> tuple[str, Callable[[], Any]]:
    """The function of that name; without name, the file's only one."""
    known = dict(_makers(module))
    listed = ", ".join(known) or "none that returns a Study"
    if function:
        found = getattr(module, function, None)
        if not callable(found):
            raise ValueError(f"{path} must have the function {function}, got {listed}")
        return function, found
    if len(known) != 1:
        raise ValueError(f"{path} must be followed by :function, one of {listed}")
    return next(iter(known.items()))


def _makers(module: ModuleType) -> Iterator[tuple[str, Callable[[], Any]]]:
    """The file's own public functions that can be called as they are and may return a study."""
    for name, value in vars(module).items():
        if inspect.isfunction(value) and value.__module__ == module.__name__ and name[0] != "_":
            signature = inspect.signature(value)
            needed = [p for p in signature.parameters.values() if p.default is p.empty]
            if not needed and signature.return_annotation in (signature.empty, Study, "Study"):
                yield name, value


def _guarded(call: Callable[[], Any], *, path: Path, what: str) -> Any:
    """What the file's code gives; its fault as one line with the place in the file."""
    try:
        return call()
    except (Exception, SystemExit) as error:
        frames = traceback.extract_tb(error.__traceback__)
        lines = [f.lineno for f in frames if Path(f.filename).absolute() == path.absolute()]
        at = f" (line {lines[-1]})" if lines else ""  # a syntax error says its line itself
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        raise ValueError(f"{what} must return a Study, got {kind}{error}{at}") from error
