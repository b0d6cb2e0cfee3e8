"""Results of a search as arrays, from our store or from anybody's table of the same schema.

Shapes: N networks, S seeds.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from search.store.parts import is_in
from search.store.schema import CELLS, SCHEMA_VERSION
from stacnet.spec import spec_from_dict

Floats = NDArray[np.float64]
DIVERGED = frozenset({"diverged"})
COLUMNS = (
    "network_id",
    "protocol_id",
    "seed",
    "status",
    "spec_json",
    "params",
    "macs",
    "latency_s",
    "val_acc_last",
    "test_acc_last",
    "device_s",
)


@dataclass(frozen=True, eq=False)
class Results:
    """Accuracy of each network with each seed; NaN where it was not trained, chance if it diverged.

    Args:
        network_ids: of each network.
        seeds: ascending.
        val_NS, test_NS: accuracies, shares; test_NS is val_NS where the table has no test column.
        has_test: whether it has.
        macs_N, params_N: static cost; latency_N: seconds per image, NaN where not measured.
        device_s: device seconds of all these trainings.
        diverged_NS: whether it diverged.
    """

    network_ids: tuple[str, ...]
    seeds: tuple[int, ...]
    val_NS: Floats
    test_NS: Floats
    has_test: bool
    macs_N: Floats
    params_N: Floats
    latency_N: Floats
    device_s: float
    diverged_NS: NDArray[np.bool_]

    @cached_property
    def row(self) -> dict[str, int]:
        """network id -> row."""
        return {name: row for row, name in enumerate(self.network_ids)}

    @cached_property
    def is_sound_N(self) -> NDArray[np.bool_]:
        """Whether no training of the network diverged."""
        return np.logical_not(np.any(self.diverged_NS, axis=1))

    @property
    def trainings(self) -> int:
        """Number of trainings that ended, diverged ones among them."""
        return int(np.isfinite(self.val_NS).sum())


def results_from_table(
    table: pa.Table,
    *,
    protocol_id: str,
    known: Sequence[str] | None = None,
    chance: float | None = None,
) -> Results:
    """Read a table with the columns of search.store.schema.CELLS.

    Args:
        chance: accuracy of guessing, which a diverged training gets; None leaves those out.
        protocol_id: rows of other protocols are left out.
        known: ids of the space's networks in order; rows of other networks are left out if their
            description fits their id, and refused if not. None takes every network as it comes.

    Raises:
        ValueError: newer schema, missing column, unknown network, NaN accuracy, duplicate row.
    """
    table = _checked_columns(table)
    ends = ["complete"] if chance is None else ["complete", "diverged"]
    mine = pc.field("status").isin(ends) & (pc.field("protocol_id") == protocol_id)
    table = _with_chance(table.filter(mine).combine_chunks(), chance)
    names, code = _coded(table)
    ids = tuple(names if known is None else known)
    rows = {name: row for row, name in enumerate(ids)}
    row = np.array([rows.get(name, -1) for name in names], dtype=np.int64)[code]
    if (row < 0).any():
        _check_strangers(table.filter(pa.array(row < 0)))
        table, row = table.filter(pa.array(row >= 0)), row[row >= 0]
    return _arrays(table, row, ids)


def _with_chance(table: pa.Table, chance: float | None) -> pa.Table:
    """Diverged trainings know nothing: their accuracies are chance, on test where there is any."""
    diverged_R = is_in(table["status"], DIVERGED)
    if chance is None or not diverged_R.any():
        return table
    for name in ("val_acc_last", "test_acc_last"):
        null_R = table[name].is_null().to_numpy()
        is_measured = name == "val_acc_last" or not null_R[~diverged_R].all()
        values = np.where(diverged_R, chance, _numbers(table, name))
        column = pa.array(values, mask=null_R & ~(diverged_R & is_measured))
        table = table.set_column(table.schema.get_field_index(name), name, column)
    return table


def _coded(table: pa.Table) -> tuple[list[str], NDArray[np.int64]]:
    """The distinct networks, and which one each row is."""
    if not table.num_rows:
        return [], np.zeros(0, dtype=np.int64)
    coded = table["network_id"].combine_chunks().dictionary_encode()
    return coded.dictionary.to_pylist(), coded.indices.to_numpy().astype(np.int64)


def _checked_columns(table: pa.Table) -> pa.Table:
    version = int((table.schema.metadata or {}).get(b"schema_version", str(SCHEMA_VERSION)))
    if version > SCHEMA_VERSION:
        raise ValueError(
            f"cells: schema_version must be at most {SCHEMA_VERSION}, got {version}: "
            f"the table was written by a newer stacnet"
        )
    missing = [name for name in COLUMNS if name not in table.column_names]
    if missing:
        raise ValueError(f"cells: the table must have the column {missing[0]}, got none")
    wanted = pa.schema([CELLS.field(name) for name in COLUMNS])
    try:
        return table.select(COLUMNS).cast(wanted)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ValueError(f"cells: a column has another type than the schema: {error}") from None


def _check_strangers(table: pa.Table) -> None:
    """Networks outside the space are welcome if they are what they say they are."""
    pairs = table.select(["network_id", "spec_json"]).group_by(["network_id", "spec_json"])
    for row in pairs.aggregate([]).to_pylist():
        try:
            described = spec_from_dict(json.loads(row["spec_json"] or "null")).network_id
        except (TypeError, AttributeError, ValueError):
            described = None
        if described != row["network_id"]:
            raise ValueError(
                f"cells: network_id must be a network of the space or fit its spec_json, "
                f"got unknown network {row['network_id']}"
            )


def _arrays(table: pa.Table, row: NDArray[np.int64], known: tuple[str, ...]) -> Results:
    seeds, column = np.unique(table["seed"].to_numpy(), return_inverse=True)
    shape = (len(known), len(seeds))
    flat = row * max(1, shape[1]) + column
    _check_rows(table, flat, known=known, seeds=seeds)
    val_NS, test_NS = np.full(shape, np.nan), np.full(shape, np.nan)
    diverged_NS = np.zeros(shape, bool)
    diverged_NS.ravel()[flat] = is_in(table["status"], DIVERGED)
    val_NS.ravel()[flat] = _numbers(table, "val_acc_last")
    test_NS.ravel()[flat] = _numbers(table, "test_acc_last")
    has_test = not np.isnan(_numbers(table, "test_acc_last")).any()

    def per_network(name: str) -> Floats:
        values_N = np.full(len(known), np.nan)
        values_N[row] = _numbers(table, name)
        return values_N

    latency = _numbers(table, "latency_s")
    measured = np.isfinite(latency)
    latency_N = _means(latency[measured], row[measured], len(known))
    return Results(
        network_ids=known,
        seeds=tuple(seeds.tolist()),
        val_NS=val_NS,
        test_NS=test_NS if has_test else val_NS,
        has_test=has_test,
        macs_N=per_network("macs"),
        params_N=per_network("params"),
        latency_N=latency_N,
        device_s=float(np.nansum(_numbers(table, "device_s"))),
        diverged_NS=diverged_NS,
    )


def _check_rows(
    table: pa.Table, flat: NDArray[np.int64], *, known: tuple[str, ...], seeds: NDArray[np.int64]
) -> None:
    def training(index: int) -> str:
        network, seed = divmod(index, len(seeds))
        return f"network {known[network]} seed {seeds[seed]}"

    for name in ("val_acc_last", "test_acc_last"):
        is_null = table[name].is_null().to_numpy()
        wrong = np.flatnonzero(np.isnan(_numbers(table, name)) & ~is_null)
        if len(wrong):
            raise ValueError(
                f"cells: {name} of a complete training must be a number, got NaN for "
                f"{training(int(flat[wrong[0]]))}"
            )
    if table["val_acc_last"].null_count:
        missing = np.flatnonzero(np.isnan(_numbers(table, "val_acc_last")))
        raise ValueError(
            f"cells: val_acc_last of a complete training must be a number, got null for "
            f"{training(int(flat[missing[0]]))}"
        )
    counts = np.bincount(flat, minlength=1)
    if counts.max() > 1:
        raise ValueError(
            f"cells: a training must have one canonical row, got {counts.max()} for "
            f"{training(int(counts.argmax()))}"
        )


def _numbers(table: pa.Table, name: str) -> Floats:
    return np.asarray(table[name].cast(pa.float64()).to_numpy(), dtype=np.float64)


def _means(values: Floats, row: NDArray[np.int64], size: int) -> Floats:
    count = np.bincount(row, minlength=size)
    total = np.bincount(row, weights=values, minlength=size)
    return np.divide(total, count, out=np.full(size, np.nan), where=count > 0)
