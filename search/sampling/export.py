"""A study for other tools: an Optuna journal (opens in optuna-dashboard), or CSV."""

import math
import warnings
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from search.errors import StudyError
from search.store.attempts import Attempts
from search.store.part import KEY
from search.store.past import Past
from search.store.schema import CELLS, MAX_STAGES, PER_STAGE
from search.store.store import Store
from search.study.metrics import METRICS
from search.study.space import Space
from search.study.study import Study
from search.study.training import Key

Row = dict[str, Any]
Shown = dict[str, int | str]

ATTRIBUTES = ("params", "macs", "suggested_by")  # equal for all own seeds
OFF, MIXED = "off", "mixed"  # what null means: no attention, or stages that differ


def export_csv(store: Store, folder: str | Path) -> list[Path]:
    """Write `cells.csv` (all attempts, `is_canonical` filled in) and `epochs.csv`; their paths.

    The bytes of `test_correct` become hex digits.
    """
    store.study()  # refuses a folder without one before anything is written
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    trainings = store.trainings(all_attempts=True)
    bits = [data and data.hex() for data in trainings["test_correct"].to_pylist()]
    place = trainings.schema.get_field_index("test_correct")
    trainings = trainings.set_column(place, "test_correct", pa.array(bits, pa.string()))
    tables = {"cells.csv": trainings, "epochs.csv": store.epochs()}
    for name, table in tables.items():
        csv.write_csv(table, target / name)
    return [target / name for name in tables]


def export_optuna(store: Store, file: str | Path) -> int:
    """Write each network whose seeds have all ended as one trial of an Optuna study; how many.

    Parameters are the columns of `trainings` in which the networks of the space differ, with their
    stored values. A trial's value is the mean over the study's own seeds that are complete, as
    the sampler was told it; single seeds are user attributes.

    Args:
        file: of Optuna's journal storage; must not exist.

    Raises:
        StudyError: the file exists, or its folder does not.
    """
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    if Path(file).exists() or not Path(file).absolute().parent.is_dir():
        raise StudyError(f"export must go to a new file in a folder that exists, got {file}")
    study = store.study()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the journal is marked experimental
        trials = _trials(store, study)
        journal = optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(file))),
            study_name=study.name,
            directions=[objective.direction for objective in study.objectives],
        )
        journal.set_metric_names(_columns(study))
        for name, text in _about(store, study).items():
            journal.set_user_attr(name, text)
        journal.add_trials(trials)
    return len(trials)


def shown_columns(space: Space) -> list[str]:
    """The columns of `trainings` that tell the networks of a space apart."""
    columns = []
    for factor in space.factors:
        if len(factor.choices) > 1:
            stages = range(1, len(space.scales) + 1)
            per_stage = [f"s{stage}_{factor.name}" for stage in stages]
            columns += per_stage if factor.name in PER_STAGE else [factor.name]
    return [name for name in columns if name in CELLS.names]


def shown(row: Row, columns: Iterable[str]) -> Shown:
    """A network's values as stored; `off` where there is no attention, `mixed` where it differs."""
    has_attention = any(row.get(f"s{stage}_kind") for stage in range(1, MAX_STAGES + 1))
    values: Shown = {}
    for name in columns:
        null = MIXED if has_attention and not name.startswith("s") else OFF
        values[name] = null if row.get(name) is None else row[name]
    return values


def _trials(store: Store, study: Study) -> Sequence[Any]:
    """One for each network whose own seeds have all ended, in the order of their first job."""
    unused = {"spec_json", "versions", "code_commit"}
    past = Past(store, columns=[name for name in CELLS.names if name not in unused])
    final = past.history.final(study.max_attempts)
    protocol_id, columns = study.protocol.protocol_id, shown_columns(study.space)
    networks = [
        rows
        for name, rows in _networks(past.attempts, protocol_id).items()
        if all((name, protocol_id, seed) in final for seed in study.seeds)
    ]
    networks.sort(key=lambda rows: min(row["order"] or 0 for row in rows))
    params = [shown(rows[0], columns) for rows in networks]
    distributions = _distributions(params, columns)
    return [
        _trial(rows, study, params=one, distributions=distributions, curves=past.curves)
        for rows, one in zip(networks, params, strict=True)
    ]


def _networks(attempts: Attempts, protocol_id: str) -> dict[str, list[Row]]:
    """Network id -> rows of all its attempts."""
    table = attempts.table.append_column("is_canonical", pa.array(attempts.canonical_N))
    table = table.filter(pc.field("protocol_id") == protocol_id)
    found: dict[str, list[Row]] = defaultdict(list)
    for row in table.to_pylist():
        found[row["network_id"]].append(row)
    return found


def _distributions(params: Iterable[Shown], columns: Iterable[str]) -> dict[str, Any]:
    """The values that occur, `off` first and numbers in their order."""
    from optuna.distributions import CategoricalDistribution

    def rank(value: int | str) -> tuple[bool, bool, int | str]:
        return (value != OFF, isinstance(value, str), value)

    found = {name: {one[name] for one in params} for name in columns}
    return {
        name: CategoricalDistribution(sorted(values, key=rank))
        for name, values in found.items()
        if values
    }


def _trial(
    rows: list[Row],
    study: Study,
    *,
    params: Shown,
    distributions: dict[str, Any],
    curves: dict[Key, list[float]],
) -> Any:
    from optuna.trial import TrialState, create_trial

    attempts = [row for row in rows if row["seed"] in study.seeds]
    own = [row for row in attempts if row["is_canonical"]]
    columns = _columns(study)
    complete = [row for row in own if row["status"] == "complete"]
    if any(row[c] is None or not math.isfinite(row[c]) for row in complete for c in columns):
        complete = []
    pruned = [row for row in own if row["status"] == "pruned"]
    state = TrialState.COMPLETE if complete else TrialState.PRUNED if pruned else TrialState.FAIL
    seen = [curves.get(tuple(row[k] for k in KEY), []) for row in complete or pruned]
    means = [fmean(values) for values in zip(*seen, strict=False)]
    trial = create_trial(
        state=state,
        params=params,
        distributions=distributions,
        values=[fmean(row[c] for row in complete) for c in columns] if complete else None,
        intermediate_values=dict(enumerate(means, start=1)),
        user_attrs=_per_seed(rows, columns) | _attributes(attempts, complete, columns),
    )
    times = [_local(row[name]) for row in attempts for name in ("started_at", "ended_at")]
    known = [time for time in times if time]
    if known:  # else the time of the export
        trial.datetime_start, trial.datetime_complete = min(known), max(known)
    return trial


def _columns(study: Study) -> list[str]:
    return [METRICS[objective.metric] for objective in study.objectives]


def _attributes(attempts: list[Row], complete: list[Row], columns: list[str]) -> Row:
    """What a reader of the dashboard sees of a network beside its parameters and values."""
    found: Row = {}
    if len(complete) > 1:
        found |= {f"{column} SD": stdev(row[column] for row in complete) for column in columns}
    for name in ATTRIBUTES:
        known = [row[name] for row in attempts if row[name] is not None]
        found |= {name: known[0]} if known else {}
    return found | {"device_s": sum(row["device_s"] or 0.0 for row in attempts)}


def _per_seed(rows: list[Row], columns: list[str]) -> Row:
    """Results of each seed, those of finalists too, and how it ended if not complete."""
    counted = sorted((row for row in rows if row["is_canonical"]), key=lambda row: row["seed"])
    found: Row = {"network_id": rows[0]["network_id"]}
    for row in counted:
        if row["status"] != "complete":
            cause = (row["status"], row["error_type"], row["error_text"])
            found[f"seed {row['seed']}"] = ": ".join(text for text in cause if text)
    for column in dict.fromkeys((*columns, "test_acc_last")):
        for row in counted:
            if row[column] is not None:
                found[f"{column} seed {row['seed']}"] = row[column]
    return found


def _about(store: Store, study: Study) -> dict[str, str]:
    """What a reader of the dashboard should know of the whole study."""
    seeds = ", ".join(map(str, study.seeds))
    return {
        "values": f"mean over the complete ones of seeds {seeds}",
        "study_id": study.study_id,
        "protocol_id": study.protocol.protocol_id,
        "from": store.address,
    }


def _local(time: datetime | None) -> datetime | None:
    """In local time without zone, as Optuna notes it."""
    return time and time.astimezone().replace(tzinfo=None)
