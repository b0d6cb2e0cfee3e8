"""What a study has come to, as a value: its rows, its best network, its frontier."""

import json
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from search.store.extras import read_extras
from search.store.manifest import load_or_list
from search.store.own import best_network
from search.store.status import Status, own_of, status
from search.store.store import Store
from search.study.networks import Networks, is_too_large, networks
from search.study.study import Study
from search.study.training import id_of
from stacnet.spec import NetworkSpec, spec_from_dict

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network of a study, and how it did.

    Args:
        id: its network id, which the study's tables use.
        spec: what it is.
        val_acc: validation accuracy after the last epoch, share, mean over the study's seeds; None
            if none of them is complete.
        seeds: those that are complete.
        trainings: its rows of `Result.frame`: a row for each training, those of finalists too.
    """

    id: str
    spec: NetworkSpec
    val_acc: float | None
    seeds: tuple[int, ...]
    trainings: pa.Table = field(compare=False)

    def build(self, *, seed: int = 0) -> "nn.Module":
        """The torch module: images (B, C, H, W) -> logits (B, K); not trained."""
        from stacnet.network import build

        return build(self.spec, seed=seed)

    @property
    def scales(self) -> tuple[int | str, ...]:
        """Per stage, the cells per side of the gate's map: a number, `native` or `off`."""
        return tuple("off" if a is None else a.scale or "native" for a in self.spec.attention)

    def __repr__(self) -> str:
        scales = ", ".join(map(str, self.scales))
        if self.val_acc is None:
            return f"<Network {self.id}: scales {scales}; not trained>"
        count = "1 seed" if len(self.seeds) == 1 else f"{len(self.seeds)} seeds"
        return f"<Network {self.id}: scales {scales}; validation {self.val_acc:.2%}, {count}>"


@dataclass(frozen=True)
class Result:
    """A study's folder, read anew whenever it is asked: also while a search runs.

    Args:
        store: the folder.
        stopped: why the run that gave this result ended before the study did; empty if it did not.
    """

    store: Store
    stopped: str = ""

    @property
    def address(self) -> str:
        """Absolute path of the folder, or s3:// address."""
        return self.store.address

    @property
    def study(self) -> Study:
        """What was asked."""
        return self.store.study()

    @property
    def status(self) -> Status:
        """Counts, best network, device seconds and time to go: what `stac status` prints."""
        return status(self.store)

    def frame(self) -> pa.Table:
        """One row for each training of the study that has begun: the attempt that counts.

        Units and directions are in the fields' metadata: `frame().schema.field("macs").metadata`.
        `.to_pandas()` gives a pandas frame, `polars.from_arrow(...)` a Polars one.
        """
        study = self.study
        mine = own_of(study, read_extras(self.store.storage), self._among)
        table = self.store.trainings()
        return table.filter(pa.array(mine.mask(table)))

    def best(self) -> Network:
        """The network with the best mean of the study's first objective over its seeds.

        Raises:
            ValueError: none is complete.
        """
        table = self.frame()
        found = best_network(table, self.study, self._among)
        if found is None:
            raise ValueError(f"the best network needs a complete training, got none in {self}")
        return self._network(found[0], table)

    def network(self, which: str | NetworkSpec) -> Network:
        """A network of the study and its results; of a space too large to list, one that was
        trained.

        Args:
            which: its id, or what it is.

        Raises:
            ValueError: the study has no such network.
        """
        network_id = which if isinstance(which, str) else which.network_id
        return self._network(network_id, self.frame())

    def frontier(self) -> tuple[Network, ...]:
        """The trained networks that no other one beats in validation accuracy and MACs, cheapest
        first: on the seeds that chose them, so their accuracies are optimistic (see `compare`)."""
        from analysis.judge.frontier import frontier

        table = self.frame()
        means = _complete(table, self.study).group_by("network_id", use_threads=False)
        mean = means.aggregate([("macs", "max"), ("val_acc_last", "mean")])
        on_front_F = frontier(
            mean["macs_max"].to_numpy().astype(float), mean["val_acc_last_mean"].to_numpy()
        )
        names = mean["network_id"].take(pa.array(on_front_F)).to_pylist()
        return tuple(self._network(name, table) for name in names)

    def weights(self, network_id: str, *, seed: int | None = None) -> "dict[str, Tensor]":
        """State dict of a trained network; today a study keeps those of its vanilla network.

        Args:
            seed: of the training; by default the study's first whose weights are there.

        Raises:
            ValueError: these weights were not kept.
        """
        study = self.study
        for one in study.seeds if seed is None else (seed,):
            found = self.store.weights(id_of((network_id, study.protocol.protocol_id, one)))
            if found is not None:
                return found
        raise ValueError(
            f"weights are kept of complete trainings of the vanilla network "
            f"{study.space.base.network_id} alone, got network {network_id}"
            + ("" if seed is None else f" with seed {seed}")
        )

    @property
    def _among(self) -> Networks | None:
        return load_or_list(self.store.storage, self.study)

    def _network(self, network_id: str, table: pa.Table) -> Network:
        study = self.study
        rows = table.filter(pc.field("network_id") == network_id)
        complete = _complete(rows, study)
        if rows.num_rows:
            spec = spec_from_dict(json.loads(rows["spec_json"][0].as_py()))
        else:
            among = None if is_too_large(study) else self._among or networks(study.space)
            point = None if among is None else among.point(network_id)
            if point is None:
                raise ValueError(f"network must be one of the study's, got {network_id!r}")
            spec = study.space.spec(point)
        values_N = complete["val_acc_last"].to_numpy()
        return Network(
            id=network_id,
            spec=spec,
            val_acc=float(values_N.mean()) if len(values_N) else None,
            seeds=tuple(sorted(complete["seed"].to_pylist())),
            trainings=rows,
        )

    def __repr__(self) -> str:
        return f"<Result {'; '.join(self._lines().values())}>"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th style='text-align:left'>{escape(name)}</th>"
            f"<td style='text-align:left'>{escape(text)}</td></tr>"
            for name, text in self._lines().items()
        )
        return f"<table>{rows}</table>"

    def _lines(self) -> dict[str, str]:
        """What a reader wants to know first: name -> words."""
        now = self.status
        others = [
            name for name in ("pruned", "diverged", "failed", "running") if getattr(now, name)
        ]
        counts = [f"{now.complete} of {now.cells} trainings complete"]
        counts += [f"{getattr(now, name)} {name}" for name in others]
        lines = {"study": f"{now.name} in {self.address}", "trainings": ", ".join(counts)}
        if now.best is not None:
            metric = self.study.objectives[0].metric
            lines["best"] = f"{metric} {now.best:.4g} by {now.best_network}"
        if self.stopped:
            lines["stopped"] = f"stopped: {self.stopped}; stac.resume goes on"
        return lines


Source = Result | str | Path  # a study's result, or its folder


def store_of(source: Source) -> Store:
    """The store of a result or folder.

    Raises:
        StoreError: there is no study.
    """
    store = source.store if isinstance(source, Result) else Store(source)
    store.study()
    return store


def _complete(table: pa.Table, study: Study) -> pa.Table:
    """The rows that count for a mean: complete, of the study's own seeds."""
    is_own_N = np.isin(table["seed"].to_numpy(), study.seeds)
    return table.filter(pa.array(is_own_N)).filter(pc.field("status") == "complete")
