"""The typefaces among the files of a folder: each once, with all its letters.

A file may hold no font, not all letters, or those of another file; it is left out, and the reason
said. A font of 26 symbols at the places of letters cannot be told from one of letters.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from stacnet.data.walk import walk

ENDINGS = (".ttf", ".otf")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
EM = 128  # pixels at which letters are drawn first
LARGEST = 8 * EM  # a letter beyond it is an ornament, or the font is hostile
NO_CHARACTER = "\uffff"  # never in a font: its picture is that of what a font lacks


@dataclass(frozen=True, slots=True)
class Face:
    """A typeface: one style of a family.

    Args:
        path: of its file.
        family, style: the font's own names.
        sha256: of the file, hex.
    """

    path: Path
    family: str
    style: str
    sha256: str

    @property
    def name(self) -> str:
        """Family and style."""
        return f"{self.family} {self.style}".strip()

    @property
    def group(self) -> str:
        """First word of the family without digits: Lato and Lato Black are one design."""
        word = re.split(r"[\s_-]", self.family.strip().lower(), maxsplit=1)[0]
        return word.rstrip("0123456789") or self.family.lower()


@dataclass(frozen=True, slots=True)
class Dropped:
    """A file that gives no typeface, and why."""

    path: Path
    why: str


def find_faces(folder: Path) -> tuple[list[Face], list[Dropped]]:
    """All different typefaces below a folder, in the order of family, style and content.

    Raises:
        ValueError: something named like a font is not a file.
    """
    dropped, faces, seen = [], [], set()
    paths = sorted({Path(file.real) for file in walk(folder, ENDINGS, kind="a font")})
    for face in sorted(map(_open, paths), key=lambda one: (one.family, one.style, one.sha256)):
        try:
            pictures = _pictures(face.path)
        except ValueError as error:
            dropped.append(Dropped(face.path, str(error)))
            continue
        if pictures in seen:
            dropped.append(Dropped(face.path, "the letters of another file"))
            continue
        seen.add(pictures)
        faces.append(face)
    return faces, dropped


def _open(path: Path) -> Face:
    """The face in a file; without names if it holds none."""
    try:
        family, style = load_font(path).getname()
    except OSError:
        family, style = None, None
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return Face(path, family or "", style or "", sha256)


def load_font(path: Path) -> ImageFont.FreeTypeFont:
    """The font at `EM` pixels, laid out by FreeType alone.

    Raises:
        OSError: the file holds no font.
    """
    return ImageFont.truetype(str(path), EM, layout_engine=ImageFont.Layout.BASIC)


def ink(font: ImageFont.FreeTypeFont, character: str) -> Image.Image:
    """The picture of a character, cut to its ink: 0 is paper, 255 ink; an empty one has no size.

    Raises:
        ValueError: it is out of all proportion.
    """
    left, top, right, bottom = font.getbbox(character)
    if max(right - left, bottom - top) > LARGEST:
        raise ValueError("a letter of no sensible size")
    paper = Image.new("L", (int(right - left), int(bottom - top)))
    ImageDraw.Draw(paper).text((-left, -top), character, fill=255, font=font)
    return paper.crop(paper.getbbox() or (0, 0, 0, 0))


def _pictures(path: Path) -> str:
    """Digest of the letters.

    Raises:
        ValueError: why they are not 26 different pictures.
    """
    try:
        font = load_font(path)
        *letters, lacking = [_content(ink(font, letter)) for letter in (*LETTERS, NO_CHARACTER)]
    except OSError:
        raise ValueError("no readable font") from None
    if lacking in letters:
        raise ValueError("a lacking letter")
    if _content(Image.new("L", (0, 0))) in letters:
        raise ValueError("an empty letter")
    if len(set(letters)) < len(LETTERS):
        raise ValueError("one picture for several letters")
    return hashlib.sha256(b"".join(letters)).hexdigest()


def _content(picture: Image.Image) -> bytes:
    return hashlib.sha256(repr(picture.size).encode() + picture.tobytes()).digest()
