"""The README's map of files, made of the first lines of their docstrings; run it to rewrite."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
START, END = "<!-- map -->\n", "<!-- /map -->\n"
TOPS = ("stacnet", "search", "analysis", "stac", "examples", "benchmarks")


def lines() -> Iterator[str]:
    """The map: the rooms with their captions, and below each its files."""
    for top in TOPS:
        rooms = sorted(path.parent for path in (ROOT / top).rglob("*/__init__.py"))
        for room in (ROOT / top, *rooms):
            head = room / "__init__.py"
            yield f"{room.relative_to(ROOT)}/" + (f"    {_caption(head)}" if head.exists() else "")
            for path in sorted(room.glob("*.py")):
                if path.name != "__init__.py":
                    yield f"  {path.name:<18} {_caption(path)}"
    yield "cluster/    one file each for a job on Slurm, Kubernetes or SkyPilot; and an image"
    yield "tests/    a folder a room: real Ray, real processes killed, real hosts"


def in_readme() -> str:
    """The map as the README should have it, between its marks."""
    return START + "```\n" + "\n".join(lines()) + "\n```\n" + END


def _caption(path: Path) -> str:
    docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
    return docstring.splitlines()[0] if docstring else ""


if __name__ == "__main__":
    readme = ROOT / "README.md"
    text = readme.read_text()
    before, _, rest = text.partition(START)
    readme.write_text(before + in_readme() + rest.partition(END)[2])
