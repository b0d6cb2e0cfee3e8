"""Anybody's network by its name: torchvision's, timm's, of a file, or of a module."""

import atexit
import difflib
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

from torch import nn

from stacnet.ids import short_hash
from stacnet.named_spec import SOURCES, source_known
from stacnet.python_file import load_file, neighbours_importable


def network_named(name: str, **keywords: Any) -> nn.Module:
    """What the function of that name returns, given the keyword arguments.

    Args:
        name: `torchvision:resnet18` (a classifier, without trained weights), `timm:NAME`,
            `my_net.py:make` (a file, whose neighbours it may import), or `package.module:function`.

    Raises:
        ValueError: there is no such file, module or function, it fails, or it returns no module.
    """
    source, _, function = name.rpartition(":")
    if not (source and function):
        raise ValueError(
            "network must be SOURCE:NAME, such as torchvision:resnet18, timm:resnet18, "
            f"my_net.py:make or package.module:make, got {name}"
        )
    match source:
        case "torchvision":
            return _built(name, _of_torchvision(function), keywords)
        case "timm":
            return _built(name, _of_timm(function), keywords)
        case _ if source.endswith(".py"):
            with neighbours_importable(Path(source)):
                module = _loaded(name, lambda: _file(Path(source)))
                return _built(name, _function(module, function, name), keywords)
        case _:
            module = _loaded(name, lambda: import_module(source))
            return _built(name, _function(module, function, name), keywords)


def _of_torchvision(function: str) -> Callable[..., Any]:
    from torchvision import models

    known = models.list_models(module=models)
    if function not in known:
        raise ValueError(_unknown("torchvision's classifiers", function, known))
    return lambda **keywords: models.get_model(function, weights=None, **keywords)


def _of_timm(function: str) -> Callable[..., Any]:
    try:
        timm = import_module("timm")
    except ImportError:
        raise ValueError(f"timm must be installed (pip install timm) for timm:{function}") from None
    known = timm.list_models()
    if function.partition(".")[0] not in known:
        raise ValueError(_unknown("timm's networks", function, known))
    return lambda **keywords: timm.create_model(function, pretrained=False, **keywords)


def _unknown(whose: str, name: str, known: list[str]) -> str:
    near = ", ".join(difflib.get_close_matches(name, known)) or "none like it"
    return f"network must be one of {whose} ({near}), got {name}"


def _function(module: ModuleType, function: str, name: str) -> Callable[..., Any]:
    found = getattr(module, function, None)
    if not callable(found):
        raise ValueError(f"network must name a function, got {name}: there is no {function}")
    return found


def _file(path: Path) -> ModuleType:
    """The file as a module, under a name that no other module has."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    return load_file(path, name=f"_network_{short_hash(str(path.resolve()))}")


def _loaded(name: str, load: Callable[[], ModuleType]) -> ModuleType:
    try:
        return load()
    except (Exception, SystemExit) as error:  # a file may do anything
        raise ValueError(f"network must be importable, got {name}: {_told(error)}") from error


def _built(name: str, make: Callable[..., Any], keywords: dict[str, Any]) -> nn.Module:
    try:
        network = make(**keywords)
    except (Exception, SystemExit) as error:
        raise ValueError(f"{name} must return a torch module, got {_told(error)}") from error
    if not isinstance(network, nn.Module):
        raise ValueError(f"{name} must return a torch module, got {type(network).__name__}")
    return network


def _told(error: BaseException) -> str:
    """The first line of what it says, with its class."""
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


def source_of(name: str) -> str:
    """Hash of the file of a function that is named by its file, which is remembered.

    Empty for what is installed, and for a file that is not here.
    """
    path = Path(name.rpartition(":")[0])
    if path.suffix != ".py" or not path.is_file():
        return ""
    try:
        return source_known(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"network must be readable, got {name}: {_told(error)}") from error


def importable(name: str, source: str) -> str:
    """The name, or that of a copy of its file where it is not here or another one by now.

    Args:
        source: hash of the file; empty for what is installed.

    Raises:
        ValueError: the file is not known either.
    """
    if not source or source_of(name) == source:
        return name
    file, _, function = name.rpartition(":")
    if source not in SOURCES:
        raise ValueError(
            f"the source of {name} must be the one that was described, {source}, got "
            f"{source_of(name) or 'none'}"
        )
    copy = _folder() / source / Path(file).name
    copy.parent.mkdir(exist_ok=True)
    copy.write_text(SOURCES[source])
    return f"{copy}:{function}"


@cache
def _folder() -> Path:
    folder = TemporaryDirectory(prefix="stacnet-")
    atexit.register(folder.cleanup)
    return Path(folder.name)
