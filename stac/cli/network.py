"""`stac cost | train | data`: one network, or one data set."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn
from rich.table import Table

from stac.cli import commands as c
from stac.cli.flag_values import BUILT_IN, data_spec, network_spec
from stacnet.spec import NetworkSpec

if TYPE_CHECKING:
    from stacnet.data.cache import Cache


def cost(command: c.Cost) -> None:
    """Print what a network costs."""
    _show(cost_facts(command), as_json=command.json)


def cost_facts(command: c.Cost) -> dict[str, Any]:
    """Cost of a network, of its vanilla twin, their ratios, and latency if it is asked for."""
    spec = network_spec(command.network)  # refused before torch is imported
    from stacnet import cost

    own, vanilla = cost.cost(spec), cost.cost(spec.vanilla)
    measured = {"latency": _latency(spec)} if command.latency else {}
    return {
        "network_id": spec.network_id,
        "depth": spec.depth,
        **asdict(own),
        "vanilla_params": vanilla.params,
        "vanilla_macs": vanilla.macs,
        "params_ratio": own.params / vanilla.params,
        "macs_ratio": own.macs / vanilla.macs,
        "train_memory_bytes_256": own.train_memory_bytes(256),
        "map_sizes": list(spec.map_sizes),
        "attention": spec.to_dict()["attention"],
        **measured,
    }


def _latency(spec: NetworkSpec) -> dict[str, Any]:
    import torch

    from stacnet.latency import latency

    device = "cuda" if torch.cuda.is_available() else "cpu"
    return asdict(latency(spec, device=device))


def prepare(command: c.Prepare) -> None:
    """Prepare images; print where, and how many."""
    from stacnet.data import prepare as preparing
    from stacnet.data.cache import cache_folder
    from stacnet.data.images import data_folder

    if command.name in BUILT_IN:
        raise ValueError(f"name must not be one of {BUILT_IN}, got {command.name!r}")
    target = cache_folder(command.name, below=data_folder())
    source = preparing.open_source(Path(command.source), size=command.size, task=command.task)
    if source.remark:
        print(source.remark)
    with _image_bar("preparing") as progress:
        cache = preparing.prepare(source, target, progress=progress)
    print(f"{target}: {len(cache.train[1])} training and {len(cache.test[1])} test images")
    if cache.test_split is not None:
        print(f"test images: {_drawn(cache)}")


def inspect(command: c.Inspect) -> None:
    """Print what a data set holds."""
    from stacnet.data.cache import cache_folder, open_cache, verify
    from stacnet.data.images import data_folder, load
    from stacnet.data.summary import contact_sheet, summarise

    facts: dict[str, Any] = {}
    if command.name not in BUILT_IN:
        folder = cache_folder(command.name, below=data_folder())
        with _image_bar("reading") as progress:
            verify(folder, progress=progress)
        cache = open_cache(folder)
        facts = {
            "source": cache.source,
            "test_split": "of the source" if cache.test_split is None else _drawn(cache),
            "groups": len(cache.group_names),
            "checksum": cache.checksum,
        }
    splits = load(data_spec(command.name))
    summary = summarise(splits)
    if command.sheet:
        contact_sheet(splits.train, Path(command.sheet))
    facts |= asdict(summary) | {"balance": summary.balance}
    if not command.json:
        facts["per_class"] = {
            split: f"{min(counts)} to {max(counts)}" for split, counts in summary.per_class.items()
        }
    _show(facts, as_json=command.json)


def _drawn(cache: "Cache") -> str:
    split, of = cache.test_split, "the groups" if cache.group_names else "each class"
    return f"{split.share:.0%} of {of}, drawn with seed {split.seed}" if split else ""


@contextmanager
def _image_bar(verb: str) -> Iterator[Callable[[int, int], None]]:
    """How many images are done, and the time to go, on stderr."""
    columns = (*Progress.get_default_columns(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(f"{verb} images", total=None)
        yield lambda done, num: bar.update(task, completed=done, total=num)


def _show(facts: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(facts))
        return
    table = Table(show_header=False, box=None)
    for name, value in facts.items():
        rows = value if isinstance(value, list) and value else [value]
        for number, row in enumerate(rows, start=1):
            table.add_row(f"{name} {number}" if isinstance(value, list) else name, _readable(row))
    Console().print(table)


def _readable(value: Any) -> str:
    match value:
        case int() if not isinstance(value, bool):
            return f"{value:,}"
        case float():
            return f"{value:.4g}"
        case None:
            return "-"
        case dict():
            return " ".join(f"{k}={_readable(v)}" for k, v in value.items())
        case _:
            return str(value)
