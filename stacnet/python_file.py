"""Python files of a user's own, loaded as a script would be; known without torch."""

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType


@contextmanager
def neighbours_importable(path: Path) -> Iterator[None]:
    """As for a script: the file may import what lies beside it."""
    before = list(sys.path)
    sys.path.insert(0, str(path.parent.resolve()))
    try:
        yield
    finally:
        sys.path[:] = before


def load_file(path: Path, *, name: str) -> ModuleType:
    """The file as a module of that name, under which its own dataclasses look for it."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
