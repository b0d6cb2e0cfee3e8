"""A study for Syne Tune: the folder that its `blackbox_tabular.deserialize` reads.

Written as `serialize` there does (syne-tune 0.16), but with all digits of a number. Shapes: P
points of the space, N networks, S seeds, E epochs, C and R rows of `trainings` and `epochs`.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from search.errors import StudyError
from search.store.own import floats
from search.store.parts import is_in, only, texts
from search.store.past import Past
from search.store.store import Store
from search.study.networks import LARGEST, Networks, is_too_large
from search.study.space import Factor
from search.study.study import Study

TIME = "hp_epoch"
DEFAULT = "metric_val_acc"
# Objective -> column of `epochs`: one value for each epoch.
CURVES = {
    DEFAULT: "val_acc",
    "metric_val_loss": "val_loss",
    "metric_train_acc": "train_acc",
    "metric_train_loss": "train_loss",
    "metric_epoch_s": "epoch_s",
    "metric_elapsed_time": "cum_s",
}
# Objective -> column of `trainings`: the same value at every epoch, as Syne Tune's own tables do.
ENDS = {
    "metric_final_test_acc": "test_acc_last",
    "metric_params": "params",
    "metric_macs": "macs",
    "metric_latency_s": "latency_s",
}
Numbers = NDArray[np.int64]
Floats = NDArray[np.float64]


def export_blackbox(store: Store, folder: str | Path) -> int:
    """Write each point of the space whose network has a complete training; how many.

    Every point is a configuration, also where several are one network: a searcher draws from the
    product of the choices, and the table answers only for what it holds. Values are those of
    complete trainings with the study's own seeds; for a seed that is not complete they are NaN.
    `networks.parquet` tells the network of each configuration, `metadata.json` the seeds.

    Args:
        folder: to write into.

    Raises:
        StudyError: nothing is complete, a curve has gaps, or the space is too large to list.
    """
    past = Past(store, columns=("status", *ENDS.values()), curve=tuple(CURVES.values()))
    if is_too_large(past.study):
        raise StudyError(
            f"a blackbox needs a space of at most {LARGEST} points unless it is searched to its "
            f"end, got {past.study.space.size()}"
        )
    factors = [factor for factor in past.study.space.factors if len(factor.choices) > 1]
    if len(factors) < 2:  # Syne Tune finds no configuration by one value
        factors = past.study.space.factors
    complete = _Complete.of(past)
    row_P = past.networks.row_of_points()
    points = np.flatnonzero((row_P >= 0) & complete.is_there_N[row_P])
    if not len(points):
        raise StudyError(f"a blackbox needs a complete training, got none in {store.address}")
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    _write_numbers(target, complete, row_P[points])
    _write_configurations(target, past.networks, factors, points=points, row_P=row_P[points])
    _write_descriptions(target, past.study, factors, objectives=complete.names)
    return len(points)


@dataclass(frozen=True, eq=False)
class _Complete:
    """The complete trainings with the study's own seeds.

    Args:
        shape: networks, seeds, epochs.
        ends, at_C: rows of `trainings`, and the place of each among networks times seeds.
        curves, at_R: rows of `epochs`, likewise.
    """

    shape: tuple[int, int, int]
    ends: pa.Table
    at_C: Numbers
    curves: pa.Table
    at_R: Numbers

    @classmethod
    def of(cls, past: Past) -> Self:
        """Those of a store; StudyError if one has not each epoch once."""
        study, among = past.study, past.networks
        is_complete_N = is_in(past.trainings["status"], frozenset({"complete"}))
        ends, at_C = _own(only(past.trainings, is_complete_N), study, among)
        curves, at_R = _own(past.epochs, study, among)
        is_theirs_R = np.isin(at_R, at_C)
        shape = (len(among), len(study.seeds), study.protocol.epochs)
        found = cls(shape, ends, at_C, only(curves, is_theirs_R), at_R[is_theirs_R])
        count = np.zeros((shape[0] * shape[1], shape[2] + 2), np.int64)  # beside 1 .. E: outside
        np.add.at(count, (found.at_R, found.curves["epoch"].to_numpy().clip(0, shape[2] + 1)), 1)
        wrong_C = (count[at_C] != [0, *[1] * shape[2], 0]).any(1)
        if wrong_C.any():
            network, seed = divmod(int(at_C[np.argmax(wrong_C)]), shape[1])
            raise StudyError(
                f"a complete training must have each epoch of 1 .. {shape[2]} once, got others of "
                f"network {among.network_ids[network]} seed {study.seeds[seed]}"
            )
        return found

    @property
    def is_there_N(self) -> NDArray[np.bool_]:
        """Whether any training of the network is complete."""
        return np.bincount(self.at_C // self.shape[1], minlength=self.shape[0]) > 0

    @property
    def names(self) -> list[str]:
        """The objectives; of what is measured once, those that were."""
        measured = [name for name, c in ENDS.items() if self.ends[c].null_count < len(self.at_C)]
        return [*CURVES, *measured]

    def values(self, name: str) -> Floats:
        """An objective: (N, S, E), NaN where a training is not complete."""
        if name in ENDS:
            value = np.full(self.shape[0] * self.shape[1], np.nan)
            value[self.at_C] = floats(self.ends, ENDS[name])
            return np.broadcast_to(value.reshape(*self.shape[:2], 1), self.shape)
        value = np.full((self.shape[0] * self.shape[1], self.shape[2]), np.nan)
        value[self.at_R, self.curves["epoch"].to_numpy() - 1] = floats(self.curves, CURVES[name])
        return value.reshape(self.shape)


def _own(table: pa.Table, study: Study, among: Networks) -> tuple[pa.Table, Numbers]:
    """The rows with the study's networks, protocol and seeds, and their places."""
    network_R, names = texts(table["network_id"])
    row_R = np.array([*(among.row.get(name, -1) for name in names), -1])[network_R]
    seeds, seed_R = np.array(study.seeds), table["seed"].to_numpy()
    order = np.argsort(seeds)
    column_R = order[np.searchsorted(seeds, seed_R, sorter=order).clip(max=len(seeds) - 1)]
    is_protocol_R = is_in(table["protocol_id"], frozenset({study.protocol.protocol_id}))
    is_own_R = is_protocol_R & (row_R >= 0) & (seeds[column_R] == seed_R)
    return only(table, is_own_R), (row_R * len(seeds) + column_R)[is_own_R]


def _write_numbers(target: Path, complete: _Complete, row_P: Numbers) -> None:
    """An objective at a time, so that they are never in memory together."""
    shape = (1, len(row_P), *complete.shape[1:], len(complete.names))  # one task
    file = target / "objectives_evaluations.npy"
    values = np.lib.format.open_memmap(file, mode="w+", dtype=np.float64, shape=shape)
    for place, name in enumerate(complete.names):
        values[0, ..., place] = complete.values(name)[row_P]
    values.flush()
    np.save(target / "fidelities_values.npy", np.arange(1, complete.shape[2] + 1))


def _write_configurations(
    target: Path, among: Networks, factors: Sequence[Factor], *, points: Numbers, row_P: Numbers
) -> None:
    space = among.space
    digits = np.unravel_index(points, [len(factor.choices) for factor in space.factors])
    digit_of = dict(zip((factor.name for factor in space.factors), digits, strict=True))
    columns = {
        f"hp_{factor.name}": pa.array(_categories(factor)).take(pa.array(digit_of[factor.name]))
        for factor in factors
    }
    _write_table(target / "hyperparameters.parquet", columns)
    names = pa.array(among.network_ids).take(pa.array(row_P))
    _write_table(target / "networks.parquet", {"point": points, "network_id": names})


def _write_table(file: Path, columns: dict[str, Any]) -> None:
    pq.write_table(pa.table(columns), file, compression="gzip")  # which fastparquet reads


def _write_descriptions(
    target: Path, study: Study, factors: Sequence[Factor], *, objectives: list[str]
) -> None:
    spaces = {
        f"hp_{one.name}": _domain("Categorical", categories=_categories(one)) for one in factors
    }
    files = {
        "configspace": spaces,
        "fidelityspace": {TIME: _domain("Integer", lower=1, upper=study.protocol.epochs)},
        "metadata": {
            "metric_elapsed_time": "metric_elapsed_time",
            "metric_default": DEFAULT,
            "time_attr": TIME,
            "objectives_names": objectives,
            "task_names": [study.name],
            "seeds": study.seeds,
            "study_id": study.study_id,
        },
    }
    for name, plain in files.items():
        (target / f"{name}.json").write_text(json.dumps(plain, indent=1) + "\n")


def _domain(name: str, **arguments: Any) -> dict[str, Any]:
    """As Syne Tune's `config_space.to_dict` writes it."""
    uniform = {"sampler_cls": "Uniform", "sampler_kwargs": {}}
    return {"domain_cls": name, "domain_kwargs": arguments, **uniform}


def _categories(factor: Factor) -> list[int] | list[str]:
    """The choices, of one type: as text unless all are numbers."""
    numbers = [choice for choice in factor.choices if isinstance(choice, int)]
    return numbers if len(numbers) == len(factor.choices) else [str(c) for c in factor.choices]
