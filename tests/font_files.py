"""Fonts that every installation of matplotlib brings: real ones, none of them in the repository."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import matplotlib

SHIPPED = Path(matplotlib.get_data_path()) / "fonts" / "ttf"  # DejaVu, STIX, Computer Modern
SIX_FACES = ("DejaVuSans", "DejaVuSans-Bold", "STIXGeneral", "cmr10", "cmss10", "cmtt10")


def fonts(folder: Path, names: Sequence[str] = SIX_FACES) -> Path:
    """Copy some of them into a folder; by default six typefaces of five families."""
    folder.mkdir(exist_ok=True)
    for name in names:
        shutil.copy(SHIPPED / f"{name}.ttf", folder)
    return folder
