"""The README's map of files, made of the first lines of their docstrings; run it to rewrite."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
START, END = "<!-- map -->\n", "<!-- /map -->\n"
PARTS = ("stacnet", "stacnet/data", "search", "search/cli", "analysis", "benchmarks")


def lines() -> Iterator[str]:
    """The map, line by line."""
    for part in PARTS:
        folder = ROOT / part
        head = folder / "__init__.py"
        yield f"{part}/" + (f"    {_caption(head)}" if head.exists() else "")
        for path in sorted(folder.glob("*.py")):
            if path.name != "__init__.py":
                yield f"  {path.name:<18} {_caption(path)}"
    yield "tests/    flat: test_<file>.py; real Ray, real processes killed, real hosts"


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
