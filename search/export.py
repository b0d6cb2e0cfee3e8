"""A study for other tools: an Optuna journal (opens in optuna-dashboard), or CSV."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pyarrow import csv

from search.cells import METRICS
from search.errors import StudyError
from search.pruner import stored_curves
from search.store import KEY, Store
from search.study import Study

STATES = {
    "complete": "COMPLETE",
    "pruned": "PRUNED",
    "diverged": "FAIL",
    "failed": "FAIL",
    "oom": "FAIL",
}


def export_csv(store: Store, folder: str | Path) -> list[Path]:
    """Write `cells.csv` (all attempts, `is_canonical` filled in) and `epochs.csv`; their paths."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    tables = {"cells.csv": store.cells(all_attempts=True), "epochs.csv": store.epochs()}
    for name, table in tables.items():
        csv.write_csv(table, target / name)
    return [target / name for name in tables]


def export_optuna(store: Store, file: str | Path) -> int:
    """Write the cells of the space as trials of an Optuna study; how many.

    Args:
        file: of Optuna's journal storage; must not exist.

    Raises:
        StudyError: the file exists.
    """
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    if Path(file).exists():
        raise StudyError(f"export must go to a new file, got {file}")
    study = store.study()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the journal is marked experimental
        journal = optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(file))),
            study_name=study.name,
            directions=[objective.direction for objective in study.objectives],
        )
        journal.set_metric_names([objective.metric for objective in study.objectives])
        trials = _trials(store, study)
        journal.add_trials(trials)
    return len(trials)


def _trials(store: Store, study: Study) -> Sequence[Any]:
    from optuna.trial import TrialState, create_trial

    from search.optuna_space import FlatSpace

    flat = FlatSpace(study.space)
    curves = dict(stored_curves(store.epochs([*KEY, "val_acc"]).to_pylist()))
    trials = []
    for row in store.cells().sort_by("ended_at").to_pylist():
        if row["status"] not in STATES or row["point"] is None:
            continue
        state = TrialState[STATES[row["status"]]]
        values = [row[METRICS[objective.metric]] for objective in study.objectives]
        if state == TrialState.COMPLETE and None in values:
            state = TrialState.FAIL
        curve = curves.get("-".join(str(row[name]) for name in KEY), [])
        trial = create_trial(
            state=state,
            params=flat.params(row["point"]),
            distributions=flat.distributions,
            values=values if state == TrialState.COMPLETE else None,
            intermediate_values=dict(enumerate(curve, start=1)),
            user_attrs=_attributes(row),
        )
        trial.datetime_start, trial.datetime_complete = row["started_at"], row["ended_at"]
        trials.append(trial)
    return trials


def _attributes(row: dict[str, Any]) -> dict[str, Any]:
    names = (*KEY, "params", "macs", "device_s", "suggested_by", "error_text")
    return {name: row[name] for name in names if row[name] is not None}
