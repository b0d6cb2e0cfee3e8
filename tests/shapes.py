"""Names that carry a shape are held to it while a test runs: `x_BCHW` has four dimensions.

Each letter of the suffix is a dimension and has one size within a call; a digit is its size. No
annotation says it a second time, so that nothing has to be kept equal, or installed by a user.
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


def broken(names: dict[str, Any]) -> str:
    """What is wrong with the shapes of a call's variables; empty if nothing is."""
    sizes: dict[str, tuple[int, str]] = {}
    for name, value in names.items():
        suffix, shape = SUFFIX.search(name), getattr(value, "shape", None)
        if suffix is None or not isinstance(shape, tuple):
            continue
        letters = suffix[1]
        if len(shape) != len(letters):
            return f"{name} must have {len(letters)} dimensions, got {tuple(shape)}"
        for letter, size in zip(letters, shape, strict=True):
            wanted, other = sizes.setdefault(letter, (size, name))
            if letter.isdigit():
                wanted, other = int(letter), "its name"
            if size != wanted:
                return f"{letter} of {name} must be {wanted} as in {other}, got {tuple(shape)}"
    return ""


@contextmanager
def checked_shapes() -> Iterator[list[str]]:
    """Look at every call of ours that returns in the body; the faults, in order."""
    faults: list[str] = []

    def at_return(frame: FrameType, event: str, _: Any) -> Any:
        if event == "return" and (rule := broken(frame.f_locals)):
            code = frame.f_code
            faults.append(f"{Path(code.co_filename).relative_to(ROOT)}: {code.co_qualname}: {rule}")
        return at_return

    def at_call(frame: FrameType, event: str, _: Any) -> Any:
        if not frame.f_code.co_filename.startswith(WHERE):
            return None
        frame.f_trace_lines = False
        return at_return

    before = sys.gettrace()
    sys.settrace(at_call)
    try:
        yield faults
    finally:
        sys.settrace(before)
