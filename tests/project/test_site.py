"""The site: it builds strictly, needs no network, and tells every public name; links hold."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from documents import PAGES, ROOT, blocks, commands

import stac
from stac.cli.commands import parse
from stac.cli.known import known_commands

pytestmark = pytest.mark.slow  # builds the site
OTHER_ORIGIN = re.compile(
    r"""(?:\bsrc\s*=\s*["']?|<link[^>]*\bhref\s*=\s*["']?|@import\s*(?:url\()?["']?|url\(\s*["']?)"""
    r"""((?:https?:)?//[^"')\s>]+)""",
    flags=re.I,
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site. A warning would have ended the build."""
    folder = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(folder)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def test_no_page_of_the_site_fetches_anything_from_elsewhere(site: Path) -> None:
    read = [path for path in site.rglob("*") if path.suffix in (".html", ".css")]
    assert len(read) > len(PAGES) - 2
    for path in read:
        text = path.read_text()
        assert not OTHER_ORIGIN.findall(text), path.name
        assert 'class="mermaid"' not in text, path.name  # would be drawn by a script from the net


def test_what_would_be_fetched_from_elsewhere_is_seen() -> None:
    for text in (
        '<script src="https://a.b/c.js">',
        "<link rel=x href=//a.b/c.css>",
        "@import 'http://a.b';",
        "url(https://a.b/c.woff)",
    ):
        assert OTHER_ORIGIN.findall(text), text
    assert not OTHER_ORIGIN.findall('<a href="https://a.b">and</a><img src="report.png">')


def test_the_reference_tells_every_public_name(site: Path) -> None:
    told = set(re.findall(r'id="stac\.(\w+)"', (site / "api.html").read_text()))
    assert told >= set(stac.__all__)


@pytest.mark.parametrize("page", PAGES)
def test_links_and_their_anchors_lead_somewhere_on_github_too(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", _prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (ROOT / page).parent / name if name else ROOT / page
        assert path.exists(), f"{page}: {target}"
        if anchor and "." not in anchor:  # the reference's anchors are the site's; mkdocs sees them
            assert anchor in _anchors(path), f"{page}: {target}"


@pytest.mark.parametrize("page", PAGES)
def test_every_stac_command_of_a_page_parses(page: str) -> None:
    for block in blocks(page):
        for command in commands(block) if block.language == "sh" else ():
            words = shlex.split(command, comments=True)
            if words[0] == "stac":
                parse(words[1:])
            if words[:3] == ["stac", "cluster", "submit"]:
                parse(shlex.split(words[-1]))


@pytest.mark.parametrize("page", PAGES)
def test_every_stac_command_in_the_text_exists_with_its_flags(page: str) -> None:
    known = known_commands()
    for command in re.findall(r"`stac ([a-z][^`|]*)`", _prose(page)):
        words = command.split()
        name = " ".join(words[:2]) if " ".join(words[:2]) in known else words[0]
        assert name in known or name in ("cluster", "data"), f"{page}: stac {command}"
        for flag in re.findall(r"--[a-z-]+", command.partition('"')[0]):
            assert flag in (*known.get(name, ()), "--help"), f"{page}: stac {command}"


def _prose(page: str) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^ *```.*?^ *```$", "", (ROOT / page).read_text(), flags=re.M | re.S)


def _anchors(path: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", text.lower()).strip().replace(" ", "-") for text in headings}
