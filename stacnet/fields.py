"""Values that check themselves: a field's annotation is its rule, told in the same words.

`check_fields(self)` in `__post_init__` holds every field to its annotation, `from_plain` builds the
same values from JSON. Whole numbers may be numpy's, a list may stand for a tuple, and a whole
number for a float: what is kept is plain Python, so that equal values have equal ids.
"""

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import lru_cache
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from stacnet.names import RULE, is_name


@dataclass(frozen=True)
class Rule:
    """What an annotated value must be beyond its type, in words and as a test."""

    words: str
    holds: Callable[[Any], object]


Whole = Annotated[int, Rule("a whole number of at least 0", lambda n: n >= 0)]
Count = Annotated[int, Rule("a whole number of at least 1", lambda n: n >= 1)]
Seed = Annotated[int, Rule("a whole number from 0 to 2**63 - 1", lambda n: 0 <= n < 2**63)]
Positive = Annotated[float, Rule("a number above 0", lambda x: x > 0)]
NotNegative = Annotated[float, Rule("a number of at least 0", lambda x: x >= 0)]
Share = Annotated[float, Rule("a number from 0 to 1", lambda x: 0 <= x <= 1)]
Fraction = Annotated[float, Rule("a number above 0 and below 1", lambda x: 0 < x < 1)]
Decay = Annotated[float, Rule("a number from 0 to below 1", lambda x: 0 <= x < 1)]
Name = Annotated[str, Rule(RULE, is_name)]
_MISFIT = object()


def check_fields(value: Any) -> None:
    """Hold each field of a frozen dataclass to its annotation.

    Raises:
        ValueError: the field, what it must be, and what it is.
    """
    for name, hint in _hints(type(value)).items():
        got = getattr(value, name)
        fitted = _fit(hint, got)
        if fitted is _MISFIT:
            raise ValueError(f"{name} must be {_words(hint)}, got {name}={_short(got)}")
        object.__setattr__(value, name, fitted)


def is_whole(value: object, least: int = 0) -> bool:
    """Whether it is a whole number of at least so much (True is none): cheap, for specs."""
    return type(value) is int and value >= least


def from_plain(hint: Any, plain: Any, *, at: str = "") -> Any:
    """The value of an annotation that JSON's dicts and lists describe.

    Args:
        at: where in the document, for the error.

    Raises:
        ValueError: an unknown or missing field, or what the value itself refuses.
    """
    members = _members(hint)
    kinds = [member for member in members if is_dataclass(member)]
    if kinds and isinstance(plain, dict):
        return _build(_chosen(kinds, plain, at=at), plain, at=at)
    if isinstance(plain, list | tuple):
        for member in members:
            if get_origin(member) is tuple:
                item = get_args(member)[0]
                return tuple(from_plain(item, p, at=f"{at}.{i}") for i, p in enumerate(plain))
    return plain


def _build(cls: Any, plain: Mapping[str, Any], *, at: str) -> Any:
    hints, values = _hints(cls), {}
    for name, value in plain.items():
        path = f"{at}.{name}" if at else name
        if name not in hints:
            near = difflib.get_close_matches(name, hints, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ValueError(f"{path}: no such field{hint}")
        values[name] = from_plain(hints[name], value, at=path)
    for field in fields(cls):
        if field.name not in plain and field.default is field.default_factory is MISSING:
            raise ValueError(f"{f'{at}.' if at else ''}{field.name}: must be given, got none")
    try:
        return cls(**values)
    except ValueError as error:
        raise ValueError(f"{at}: {error}" if at else str(error)) from None


def _chosen(kinds: list[Any], plain: Mapping[str, Any], *, at: str) -> Any:
    """The one of several dataclasses that the `kind` of the plain value names, if they have one."""
    if len(kinds) == 1:
        return kinds[0]
    by_kind = {get_args(_hints(cls)["kind"])[0]: cls for cls in kinds if "kind" in _hints(cls)}
    kind = plain.get("kind")
    if kind is None and len(by_kind) < len(kinds):
        return next(cls for cls in kinds if "kind" not in _hints(cls))
    if isinstance(kind, str) and kind in by_kind:
        return by_kind[kind]
    raise ValueError(f"{at}: kind must be one of {', '.join(by_kind)}, got kind={kind!r}")


def _fit(hint: Any, value: Any) -> Any:
    """The value in its plain form, or `_MISFIT`."""
    if len(members := _members(hint)) > 1:
        fitted = (_fit(member, value) for member in members)
        return next((one for one in fitted if one is not _MISFIT), _MISFIT)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        fitted = _fit(arguments[0], value)
        return fitted if fitted is not _MISFIT and arguments[1].holds(fitted) else _MISFIT
    if origin is Literal:
        return value if isinstance(value, str) and value in arguments else _MISFIT
    if origin is tuple:
        if not isinstance(value, tuple | list):
            return _MISFIT
        items = tuple(_fit(arguments[0], item) for item in value)
        return _MISFIT if any(item is _MISFIT for item in items) else items
    return _fit_plain(hint, value)


def _fit_plain(hint: Any, value: Any) -> Any:
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if hint is int:
        return int(value) if is_number and isinstance(value, Integral) else _MISFIT
    if hint is float:
        try:
            return number if is_number and math.isfinite(number := float(value) + 0.0) else _MISFIT
        except OverflowError:
            return _MISFIT
    return value if isinstance(value, hint) else _MISFIT


def _words(hint: Any) -> str:
    """What a value of this annotation is, in words."""
    if len(members := _members(hint)) > 1:
        return " or ".join(_words(member) for member in members)
    origin, arguments = get_origin(hint), list(get_args(hint))
    if origin is Annotated:
        return arguments[1].words
    if origin is Literal:
        return f"one of {', '.join(arguments)}" if len(arguments) > 1 else arguments[0]
    if origin is tuple:
        return f"a tuple of values that are each {_words(arguments[0])}"
    plain = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    return plain.get(hint) or ("None" if hint is NoneType else f"a {hint.__name__}")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:97]}..."


def _members(hint: Any) -> tuple[Any, ...]:
    """The alternatives of a union; of anything else, itself."""
    if get_origin(hint) is Annotated and get_origin(get_args(hint)[0]) is tuple:
        hint = get_args(hint)[0]
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


@lru_cache(maxsize=64)
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls, include_extras=True)
