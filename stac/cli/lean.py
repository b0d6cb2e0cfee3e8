"""Keeps pyarrow from importing pandas, which no command needs."""

import sys

import pyarrow as pa


class _NoPandas:
    """Finds no pandas."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        """Refuse pandas; say nothing of other modules."""
        if name == "pandas":
            raise ModuleNotFoundError("not looked for", name=name)


def without_pandas() -> None:
    """Let pyarrow look for pandas now, and once, and find none.

    With its first array it would import it, which takes longer than a small study's whole status.
    A table's `to_pandas` looks for it again.
    """
    sys.meta_path.insert(0, _NoPandas)  # type: ignore[arg-type]
    try:
        pa.array([])
    finally:
        sys.meta_path.remove(_NoPandas)  # type: ignore[arg-type]
