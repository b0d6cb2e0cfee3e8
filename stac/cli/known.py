"""The commands and flags that exist, and which of them a mistyped one was meant to be."""

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from tyro.conf import Positional

from stac.cli.commands import Command

POSITIONAL = get_args(Positional[int])[1]


def known_commands() -> dict[str, tuple[str, ...]]:
    """Command, such as `data prepare`, -> its flags and, in capitals, its positional arguments."""
    return dict(_commands(Command))


def mistaken(argv: list[str]) -> str | None:
    """What to say of a command or flag that does not exist; None if all do."""
    known = known_commands()
    words = {name.split()[0] for name in known}
    place = "stac"
    for depth, word in enumerate(argv[:2]):
        name = f"{place} {word}".removeprefix("stac ")
        if name in known:
            return _mistaken_flag(argv[depth + 1 :], name, known[name])
        if word.startswith("-"):
            return None
        if depth or word not in words:
            return f"no command {word} in {place}; {_meant(word, words, place)}"
        place = f"stac {word}"
        words = {one.split()[1] for one in known if one.startswith(f"{word} ")}
    return None


def _mistaken_flag(words: list[str], command: str, flags: tuple[str, ...]) -> str | None:
    for word in words:
        flag = word.partition("=")[0].replace("_", "-")
        if flag.startswith("--") and flag not in (*flags, "--", "--help"):
            names = [name for name in flags if name.startswith("--")]
            place = f"stac {command}"
            return f"no flag {flag} in {place}; {_meant(flag, names, place)}"
    return None


def _meant(word: str, names: Iterable[str], place: str) -> str:
    near = difflib.get_close_matches(word, sorted(names), n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else f"{place} --help lists them"


def _commands(union: Any, *, before: str = "") -> Iterator[tuple[str, tuple[str, ...]]]:
    for one in get_args(union):
        command, config = get_args(one)[:2]
        name = before + config.name
        if is_dataclass(command):
            yield name, tuple(_flags(command))
        else:
            yield from _commands(command, before=f"{name} ")


def _flags(command: Any) -> Iterator[str]:
    hints = get_type_hints(command, include_extras=True)
    for one in fields(command):
        hint = hints[one.name]
        if is_dataclass(hint):
            yield from _flags(hint)
        elif get_origin(hint) is Annotated and POSITIONAL in get_args(hint):
            yield get_args(hint)[-1].metavar
        else:
            yield "--" + one.name.replace("_", "-")
