"""Letters of the typefaces in a folder of fonts: real images, with two tasks on the same pictures.

A picture is a pure function of a typeface, a capital letter and a number: the letter is turned by
up to 10 degrees, fitted into a square of 75 to 100 % of the image's inner side, and laid anywhere
in it, black on white. `letters`: which letter is it? One picture of each letter of every typeface;
a family of typefaces is in one split, so that those of the test are unseen. `typefaces`: which of
40 typefaces, each of another family, is it? Six pictures of each of their letters, among them those
of the first task; a letter is in one split. What differs between the tasks is what is asked, and
how many typefaces and pictures are in it, not what an image looks like.
"""

import hashlib
from collections import Counter
from dataclasses import asdict
from functools import lru_cache
from itertools import compress
from pathlib import Path
from typing import Any, Literal, NamedTuple, assert_never

import numpy as np
import PIL
from PIL import Image, ImageFont, features

from stacnet.data.faces import LETTERS, Dropped, Face, find_faces, ink, load_font
from stacnet.data.font_origin import origins
from stacnet.data.images import drawn_groups
from stacnet.data.meta import SPLITS, DrawnSplit
from stacnet.data.source import Part, Source

Task = Literal["letters", "typefaces"]
FAMILIES = DrawnSplit(share=0.25, seed=0)  # of the first task, for the test
UNSEEN_LETTERS = DrawnSplit(share=0.3, seed=0)  # of the second
NUM_TYPEFACES = 40  # of the second task, each of another family
NUM_PICTURES = 6  # of each of their letters
MARGIN = 1 / 16  # of the side, all around
LARGEST_TURN = 10.0  # degrees
SMALLEST = 0.75  # of the inner side
FILE = "fonts.json"


class _Picture(NamedTuple):
    """One image: whose, of which letter, which one of it, its class and group."""

    face: Face
    letter: str
    number: int
    label: int
    group: int


class _Plan(NamedTuple):
    """A task: its pictures in order, names of classes and groups, how test groups are drawn."""

    pictures: list[_Picture]
    class_names: tuple[str, ...]
    group_names: tuple[str, ...]
    test_split: DrawnSplit


def open_glyphs(folder: Path, *, size: int, task: Task) -> Source:
    """The letters of all typefaces below a folder, as one of the two tasks.

    Args:
        size: side of the image, pixels.

    Raises:
        ValueError: there are fewer than two families of typefaces.
    """
    faces, dropped = find_faces(folder)
    num_families = len({face.group for face in faces})
    remark = f"{folder}: {_remark(faces, dropped)}"
    if num_families < 2:
        raise ValueError(f"{remark}; letters need at least 2 families, got {num_families}")
    match task:
        case "letters":
            plan = _letters(faces)
        case "typefaces":
            plan = _typefaces(faces)
        case _:
            assert_never(task)
    split = plan.test_split
    test_G = drawn_groups(np.arange(len(plan.group_names)), share=split.share, seed=split.seed)
    is_test = [picture.group in test_G for picture in plan.pictures]
    divided = {
        name: list(compress(plan.pictures, [test == (name == "test") for test in is_test]))
        for name in SPLITS
    }
    return Source(
        format="glyphs",
        size=size,
        class_names=plan.class_names,
        parts=[_part(folder, divided[name], split=name, size=size) for name in SPLITS],
        test_split=split,
        group_names=plan.group_names,
        remark=remark,
        records={FILE: _record(task, plan, dropped)},
    )


def _letters(faces: list[Face]) -> _Plan:
    families = sorted({face.group for face in faces})
    pictures = [
        _Picture(face, letter, 0, label=label, group=families.index(face.group))
        for face in faces
        for label, letter in enumerate(LETTERS)
    ]
    return _Plan(pictures, tuple(LETTERS), tuple(families), FAMILIES)


def _typefaces(faces: list[Face]) -> _Plan:
    """One typeface of each drawn family, itself drawn."""
    rng = np.random.default_rng(UNSEEN_LETTERS.seed)
    families = sorted({face.group for face in faces})
    chosen = []
    for family in sorted(rng.permutation(families)[:NUM_TYPEFACES]):
        members = [face for face in faces if face.group == family]
        chosen.append(members[rng.integers(len(members))])
    pictures = [
        _Picture(face, letter, number, label=label, group=group)
        for label, face in enumerate(chosen)
        for group, letter in enumerate(LETTERS)
        for number in range(NUM_PICTURES)
    ]
    return _Plan(pictures, tuple(face.name for face in chosen), tuple(LETTERS), UNSEEN_LETTERS)


def _part(folder: Path, pictures: list[_Picture], *, split: str, size: int) -> Part:
    digest = hashlib.sha256(repr((size, PIL.__version__)).encode())
    for picture in pictures:
        digest.update(repr((picture.face.sha256, picture.letter, picture.number)).encode())

    def read(start: int, stop: int) -> np.ndarray:
        grey_NSS = np.stack([render(*one[:3], size=size) for one in pictures[start:stop]])
        return np.repeat(grey_NSS[:, None], 3, axis=1)

    return Part(
        name=split,
        path=folder,
        split=split,
        labels_N=np.array([picture.label for picture in pictures], np.int64),
        read=read,
        fingerprint=digest.hexdigest(),
        groups_N=np.array([picture.group for picture in pictures], np.int64),
    )


def render(face: Face, letter: str, number: int, *, size: int) -> np.ndarray:
    """Picture `number` of a letter: uint8 (size, size), black on white."""
    rng = np.random.default_rng([int(face.sha256[:16], 16), ord(letter), number])
    turn, share, right, down = rng.random(4)
    picture = ink(_font(face.path), letter)
    degrees = LARGEST_TURN * (2 * turn - 1)
    picture = picture.rotate(degrees, Image.Resampling.BICUBIC, expand=True)
    picture = picture.crop(picture.getbbox())
    inner = size * (1 - 2 * MARGIN)
    factor = inner * (SMALLEST + (1 - SMALLEST) * share) / max(picture.size)
    width, height = (max(1, round(side * factor)) for side in picture.size)
    picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    left, top = (
        round((size - inner) / 2 + place * (inner - side))
        for place, side in ((right, width), (down, height))
    )
    image = Image.new("L", (size, size))
    image.paste(picture, (left, top))
    return 255 - np.asarray(image)


@lru_cache(maxsize=2)
def _font(path: Path) -> ImageFont.FreeTypeFont:
    return load_font(path)


def _remark(faces: list[Face], dropped: list[Dropped]) -> str:
    whys = Counter(one.why for one in dropped)
    left_out = ", ".join(f"{why} {num}" for why, num in sorted(whys.items()))
    return (
        f"{len(faces)} typefaces in {len(faces) + len(dropped)} font files"
        f"{'; left out: ' + left_out if left_out else ''}"
    )


def _record(task: Task, plan: _Plan, dropped: list[Dropped]) -> dict[str, Any]:
    """Whose letters these are, under which licences, and what was left out: fonts.json."""
    faces = list(dict.fromkeys(picture.face for picture in plan.pictures))
    origin = origins([face.path for face in faces])
    return {
        "task": task,
        "pillow": PIL.__version__,
        "freetype": features.version("freetype2"),
        "faces": [
            {"family": face.family, "style": face.style, "group": face.group}
            | {"file": face.path.name, "sha256": face.sha256, **asdict(origin[face.path])}
            for face in faces
        ],
        "left_out": [{"file": one.path.name, "why": one.why} for one in dropped],
    }
