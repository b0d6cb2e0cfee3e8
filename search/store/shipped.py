"""Studies that ship with the package, searched to their end: `bench:NAME` is the address of one."""

import difflib
from pathlib import Path

SCHEME = "bench:"
FOLDER = Path(__file__).parents[1] / "shipped"


def shipped_studies() -> list[str]:
    """Their names."""
    return sorted(file.parent.name for file in FOLDER.glob("*/study.json"))


def shipped_folder(address: str) -> Path:
    """Where the study of a `bench:` address lies.

    Raises:
        ValueError: none of that name ships; the nearest are named.
    """
    name, there = address.removeprefix(SCHEME), shipped_studies()
    if name not in there:
        near = difflib.get_close_matches(name, there, n=1, cutoff=0.5) or there
        raise ValueError(
            f"{SCHEME}NAME must name a study that ships (stac bench), got {address}; "
            f"did you mean {', '.join(near)}?"
        )
    return FOLDER / name
