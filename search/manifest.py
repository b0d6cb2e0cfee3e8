"""The networks of a study, told apart and priced once, so that no resume does it again."""

import io
import random
from collections.abc import Set
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from search.cells import Cell, Key
from search.errors import StudyError
from search.storage import Storage
from search.strategy import Listed
from search.study import Exhaustive, Study

if TYPE_CHECKING:
    from stacnet.cost import Cost

FILE = "manifest.parquet"
LARGEST = 200_000  # points; a sampled study of a larger space goes without a manifest
MANIFEST = pa.schema(
    [
        pa.field("point", pa.int64(), metadata={"description": "first index of the network"}),
        pa.field("network_id", pa.string(), metadata={"description": "hash of the network"}),
        pa.field("params", pa.int64(), metadata={"unit": "parameters"}),
        pa.field("macs", pa.int64(), metadata={"unit": "MACs"}),
    ]
)


@dataclass(frozen=True)
class Manifest:
    """The distinct networks of a space that meet its bounds.

    Args:
        points: index of each in the space.
        network_ids: of each.
    """

    points: tuple[int, ...]
    network_ids: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.points)

    @cached_property
    def members(self) -> frozenset[str]:
        """The network ids, to look one up."""
        return frozenset(self.network_ids)


def load_or_make(storage: Storage, study: Study) -> Manifest | None:
    """The study's manifest; None for a sampled study of a space too large to list."""
    if study.space.size() > LARGEST and not isinstance(study.strategy, Exhaustive):
        return None
    if not storage.exists(FILE):
        sink = io.BytesIO()
        pq.write_table(_make(study), sink)
        storage.write(FILE, sink.getvalue())
    return load(storage)


def load(storage: Storage) -> Manifest | None:
    """The manifest as stored, or None."""
    try:
        table = pq.read_table(pa.BufferReader(storage.read(FILE)), columns=["point", "network_id"])
    except FileNotFoundError:
        return None
    return Manifest(tuple(table["point"].to_pylist()), tuple(table["network_id"].to_pylist()))


def planned(study: Study, manifest: Manifest, *, known: Set[Key]) -> Listed:
    """The cells of an exhaustive study in its shuffled order, without the known ones.

    A network is built only when its turn comes.
    """
    assert isinstance(study.strategy, Exhaustive)
    seeds, protocol_id = study.seeds, study.protocol.protocol_id
    order = list(range(len(manifest) * len(seeds)))
    random.Random(study.strategy.shuffle_seed).shuffle(order)  # part of it is an unbiased sample
    pairs = (divmod(index, len(seeds)) for index in order)
    owed = [
        (manifest.points[network], seeds[number])
        for network, number in pairs
        if (manifest.network_ids[network], protocol_id, seeds[number]) not in known
    ]
    cells = (
        Cell(spec=study.space.spec(point), protocol_id=protocol_id, seed=seed, point=point)
        for point, seed in owed
    )
    return Listed(cells, number=len(owed))


def meets_bounds(study: Study, price: "Cost") -> bool:
    """Whether a network of this cost is within the space's bounds."""
    from stacnet.cost import cost

    space, vanilla = study.space, cost(study.space.base)
    bounds = (
        (space.max_params_ratio, price.params / vanilla.params),
        (space.max_macs_ratio, price.macs / vanilla.macs),
    )
    return all(bound is None or ratio <= bound for bound, ratio in bounds)


def is_bounded(study: Study) -> bool:
    """Whether networks must be priced before they are trained."""
    return study.space.max_params_ratio is not None or study.space.max_macs_ratio is not None


def _make(study: Study) -> pa.Table:
    points = study.space.first_index
    prices = _priced(study, points) if is_bounded(study) else {}
    rows = [
        {
            "point": point,
            "network_id": name,
            "params": prices[name].params if name in prices else None,
            "macs": prices[name].macs if name in prices else None,
        }
        for name, point in points.items()
        if name not in prices or meets_bounds(study, prices[name])
    ]
    if not rows:
        space = study.space
        raise StudyError(
            f"bounds must leave at least one network, got max_params_ratio="
            f"{space.max_params_ratio} max_macs_ratio={space.max_macs_ratio}"
        )
    return pa.Table.from_pylist(rows, schema=MANIFEST)


def _priced(study: Study, points: dict[str, int]) -> "dict[str, Cost]":
    from stacnet.cost import price  # torch, which a resumed search does not need

    return {name: price(study.space.spec(point)) for name, point in points.items()}
