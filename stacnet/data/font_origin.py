"""Where a font file comes from: its Debian package, version and licences, if dpkg knows it."""

import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

DOCUMENTS = Path("/usr/share/doc")
TOGETHER = 500  # files asked about in one call


@dataclass(frozen=True, slots=True)
class Origin:
    """A package and what it says of itself.

    Args:
        package: `unknown` where nothing is known of the origin.
        version: of the package.
        licences: short names, as the package's copyright file has them; packaging apart.
    """

    package: str = "unknown"
    version: str = ""
    licences: tuple[str, ...] = ()


def origins(paths: Iterable[Path]) -> dict[Path, Origin]:
    """The origin of each file; one of unknown origin has an empty one, as all have without dpkg."""
    files = sorted({str(path) for path in paths})
    owner: dict[str, str] = {}
    for start in range(0, len(files), TOGETHER):
        for line in _output(["dpkg", "-S", *files[start : start + TOGETHER]]).splitlines():
            packages, _, path = line.partition(": ")
            owner[path] = packages.split(",")[0].split(":")[0]
    known = {package: _origin(package) for package in sorted(set(owner.values()))}
    return {Path(path): known[owner[path]] if path in owner else Origin() for path in files}


def _origin(package: str) -> Origin:
    version = _output(["dpkg-query", "-W", "-f", "${Version}", package])
    try:
        text = (DOCUMENTS / package / "copyright").read_text(errors="replace")
    except OSError:
        text = ""
    return Origin(package, version, licences(text))


def licences(text: str) -> tuple[str, ...]:
    """Short names in a copyright file: of its `Files:`, else the common licences it refers to."""
    found = []
    for paragraph in re.split(r"\n\s*\n", text):
        files = re.search(r"^Files:\s*(\S+)", paragraph, re.MULTILINE)
        licence = re.search(r"^License:[ \t]*(\S.*)$", paragraph, re.MULTILINE)
        if files and licence and not files[1].startswith("debian/"):
            found.append(licence[1].strip())
    return tuple(sorted({*found} or {*re.findall(r"common-licenses/([\w.+-]*\w)", text)}))


def _output(command: list[str]) -> str:
    """What a command prints; nothing where it does not exist."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout
    except OSError:
        return ""
