"""Names that carry a shape are held to it while a test runs: `x_BCHW` has four dimensions.

Each letter of the suffix is a dimension, with one size among the arguments of a call; a digit is
its size. No annotation says it a second time, to be kept equal, or needs a package at run time.
"""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).parent.parent
WHERE = tuple(str(ROOT / package) for package in ("stacnet/", "analysis/", "search/"))
SUFFIX = re.compile(r"_([A-Z][A-Za-z0-9]*)$")


def broken(names: dict[str, Any], *, letters: bool) -> str:
    """What is wrong with the shapes of a call's variables; empty if nothing is.

    Args:
        letters: whether one letter is one size; variables may be filtered, so it is for arguments.
    """
    sizes: dict[str, tuple[int, str]] = {}
    for name, value in names.items():
        suffix, shape = SUFFIX.search(name), getattr(value, "shape", None)
        if suffix is None or not isinstance(shape, tuple):
            continue
        if len(shape) != len(suffix[1]):
            return f"{name} must have {len(suffix[1])} dimensions, got {tuple(shape)}"
        for letter, size in zip(suffix[1], shape, strict=True):
            wanted, other = (size, name)
            if letter.isdigit():
                wanted, other = int(letter), "its name"
            elif letters:
                wanted, other = sizes.setdefault(letter, (size, name))
            if size != wanted:
                return f"{letter} of {name} must be {wanted} as in {other}, got {tuple(shape)}"
    return ""


@contextmanager
def checked_shapes() -> Iterator[list[str]]:
    """Look at every call of ours in the body that does not raise; the faults, in order."""
    faults: list[str] = []

    def at_call(frame: FrameType, event: str, _: Any) -> Any:
        code = frame.f_code
        if not code.co_filename.startswith(WHERE):
            return None
        frame.f_trace_lines = False
        arguments = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        given = broken({name: frame.f_locals.get(name) for name in arguments}, letters=True)
        has_raised = False

        def at_end(frame: FrameType, event: str, _: Any) -> Any:
            nonlocal has_raised
            has_raised |= event == "exception"  # a wrong shape may be refused
            if event == "return" and not has_raised:
                where = f"{Path(code.co_filename).relative_to(ROOT)}: {code.co_qualname}"
                rule = given or broken(frame.f_locals, letters=False)
                faults.extend([f"{where}: {rule}"] if rule else [])
            return at_end

        return at_end

    before = sys.gettrace()
    sys.settrace(at_call)
    try:
        yield faults
    finally:
        sys.settrace(before)
