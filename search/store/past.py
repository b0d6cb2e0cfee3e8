"""What a store holds of its study, each table read once for whoever asks for several things."""

from collections.abc import Sequence, Set
from functools import cached_property
from typing import cast

import numpy as np
import pyarrow as pa

from search.store.attempts import Attempts, counted, curves_of, needed, standing
from search.store.extras import Extras, read_extras
from search.store.history import COLUMNS as HISTORY
from search.store.history import TRAINING, History, begun_trainings, training_of
from search.store.manifest import load_or_list
from search.store.part import IDENTITY, KEY, NOT_IN_FOOTER, Folder
from search.store.parts import Reading, codes, joined, plain, read_all, rows
from search.store.schema import CELLS
from search.store.store import Store
from search.study.metrics import METRICS
from search.study.networks import Networks, networks
from search.study.study import Exhaustive, Study
from search.study.training import Key, Outcome, Training

# What a plan, a comparison, a replay and a report ask for.
COLUMNS = (
    *KEY,
    *("attempt", "lease", "status", "point", "spec_json", "suggested_by", "order"),
    *("device_fraction", "device_s", "params", "macs", "test_acc_last"),
    *METRICS.values(),
    *("started_at", "ended_at", "device_name", "code_commit", "versions"),
)
CURVE = ("val_acc", "cum_s")


class Past:
    """One look at a store; what is written later is not in it.

    Args:
        store: what is read when it is first asked for, and then kept.
        columns: of `trainings`, besides those that tell which rows count.
        curve: columns of `epochs`; None if no curve is asked for.

    Raises:
        StoreError: every property, if there is no study, or a file is of a newer version.
    """

    def __init__(
        self, store: Store, *, columns: Sequence[str] = COLUMNS, curve: Sequence[str] | None = CURVE
    ) -> None:
        self.store = store
        self._columns = [name for name in dict.fromkeys([*KEY, *columns]) if name != "is_canonical"]
        self._curve = curve

    @cached_property
    def study(self) -> Study:
        """As it was begun."""
        return self.store.study()

    @cached_property
    def extras(self) -> Extras:
        """What was added since."""
        return read_extras(self.store.storage)

    @cached_property
    def networks(self) -> Networks:
        """The distinct networks of its space, from the manifest where that proves itself."""
        return load_or_list(self.store.storage, self.study) or networks(self.study.space)

    @cached_property
    def attempts(self) -> Attempts:
        """The rows that count; those whose epochs are lost stand aside."""
        return counted(self._rows, self._epochs.tables, damaged=self._damaged)

    @cached_property
    def believed(self) -> Attempts:
        """The same without a look for their epochs: half is read."""
        return counted(self._rows, None, damaged=self._trainings.damaged)

    @property
    def readings(self) -> dict[Folder, Reading]:
        """What was read of each table, and which files were left out."""
        return {"cells": self._trainings, "epochs": self._epochs}

    @cached_property
    def trainings(self) -> pa.Table:
        """The row that stands for each training."""
        return standing(self.attempts, self._columns)

    @cached_property
    def epochs(self) -> pa.Table:
        """Key, epoch and curve of the attempts that count, by training and epoch."""
        wanted = [*KEY, "epoch", *(self._curve or ())]
        return curves_of(self.attempts, self._epochs.tables, wanted)

    @cached_property
    def curves(self) -> dict[Key, list[float]]:
        """Validation accuracy after each epoch, by training."""
        table = self.epochs
        (training_N,) = codes([table], KEY)
        begins = np.flatnonzero(
            np.append(True, training_N[1:] != training_N[:-1])[: len(training_N)]
        )
        keys = zip(*(table[name].take(begins).to_pylist() for name in KEY), strict=True)
        pieces = np.split(table["val_acc"].to_numpy(), begins[1:])[: len(begins)]
        return {key: piece.tolist() for key, piece in zip(keys, pieces, strict=True)}

    @cached_property
    def owed(self) -> Attempts:
        """The same for who trains again what lost its epochs: such a row is `preempted`."""
        return counted(self._rows, self._epochs.tables, owed=True, damaged=self._damaged)

    @cached_property
    def history(self) -> History:
        """The attempts at each training."""
        table = self.owed.table.append_column("is_canonical", pa.array(self.owed.canonical_N))
        return History(plain(table.select(HISTORY), CELLS), self.study)

    def begun(self) -> list[Training]:
        """Trainings that an earlier run left unfinished."""
        return begun_trainings(self.store, self.history, max_attempts=self.study.max_attempts)

    def known(self, final: Set[Key]) -> list[tuple[Training, Outcome | None]]:
        """The stored trainings in order of completion, without outcome those that are not final."""
        known, columns = [], [*TRAINING, "status", *METRICS.values()]
        table = standing(self.owed, [*columns, "ended_at"]).sort_by("ended_at")
        for found in rows(table, columns):
            row = dict(zip(columns, found, strict=True))
            training = training_of(row)
            values = {metric: row[column] for metric, column in METRICS.items()}
            outcome = Outcome(
                status=row["status"],
                values={metric: value for metric, value in values.items() if value is not None},
                curve=tuple(self.curves.get(training.key, ())),
            )
            known.append((training, outcome if training.key in final else None))
        return known

    @cached_property
    def _trainings(self) -> Reading:
        return read_all(self.store.storage, "cells", needed(self._columns))

    @cached_property
    def _rows(self) -> pa.Table:
        table = joined(self._trainings.tables, CELLS, needed(self._columns))
        self._trainings.tables.clear()  # not twice in memory
        return table

    @cached_property
    def _epochs(self) -> Reading:
        _ = self._trainings  # first: an attempt writes its epochs before its row
        curve = [] if self._curve is None else ["epoch", *self._curve]
        columns = list(dict.fromkeys([*IDENTITY, *curve]))
        return read_all(self.store.storage, "epochs", columns)

    @cached_property
    def _damaged(self) -> dict[str, str]:
        return self._trainings.damaged | self._epochs.damaged


def past_of_run(store: Store) -> Past:
    """What a run begins with: a listed study needs neither descriptions nor curves."""
    if isinstance(store.study().strategy, Exhaustive):
        return Past(store, columns=HISTORY, curve=None)
    return Past(store)


def past_of(store: Store | Past) -> Past:
    """A look at the store for who judges, if it is not one already: with every answer."""
    if isinstance(store, Past):
        return store
    return Past(cast(Store, store), columns=(*COLUMNS, NOT_IN_FOOTER))
