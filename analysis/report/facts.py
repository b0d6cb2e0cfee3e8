"""Everything a report says about one study, gathered once; what is not there yet is named."""

import json
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import numpy as np

from analysis.judge.compare import compare
from analysis.judge.comparison import Comparison, plain
from analysis.look.classmap import ClassRepMap
from analysis.predict.mapfile import ATTENDED, map_from_parquet
from analysis.replay.replays import report_replays
from analysis.replay.simulate import Replay
from analysis.report.curves import Curve, learning_curves
from search.errors import StoreError
from search.store.past import Past, past_of
from search.store.rows import study_and_space_id
from search.store.store import Store
from search.study.study import Study


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where the numbers come from.

    Args:
        versions: of the software, as JSON, and how many trainings ran with it.
        devices: name -> trainings; commits: git commit -> trainings.
        first, last: when the first training began and the last one ended, UTC.
    """

    study_id: str
    space_id: str
    protocol_id: str
    address: str
    versions: dict[str, int]
    devices: dict[str, int]
    commits: dict[str, int]
    statuses: dict[str, int]
    first: str
    last: str


@dataclass(frozen=True, kw_only=True)
class StudyFacts:
    """One study's part of a report; a part that is missing is None, and `missing` says why.

    Args:
        chart: the map of the vanilla networks; attended: of the best network, if it was looked at.
    """

    study: Study
    provenance: Provenance
    chart: ClassRepMap | None
    attended: ClassRepMap | None
    comparison: Comparison | None
    curves: tuple[Curve, ...]
    replays: tuple[Replay, ...]
    missing: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values: every number of the report."""
        return {
            "study": json.loads(self.study.to_json()),
            "provenance": asdict(self.provenance),
            "map": plain(self.chart) if self.chart else None,
            "attended_map": plain(self.attended) if self.attended else None,
            "comparison": self.comparison.to_dict() if self.comparison else None,
            "curves": plain(self.curves),
            "replays": plain(self.replays),
            "missing": list(self.missing),
        }

    def to_json(self) -> str:
        """As text."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)


def gather(store: Store | Past, *, picks_file: str | None = None) -> StudyFacts:
    """All facts about a study, finished or not; each table of its store is read once.

    Args:
        store: or a look at it, with which others share what was read.
        picks_file: see analysis.judge.compare.

    Raises:
        ValueError: the folder holds no study, or a file in it does not fit.
    """
    past = past_of(store)
    missing: list[str] = []
    chart, attended = _chart(past.store, missing), _attended(past.store, missing)
    comparison = _comparison(past, missing, picks_file=picks_file)
    return StudyFacts(
        study=past.study,
        provenance=provenance(past),
        chart=chart,
        attended=attended,
        comparison=comparison,
        curves=_curves(past, comparison) if comparison else (),
        replays=_replays(past, comparison, missing, picks_file=picks_file) if comparison else (),
        missing=(*missing, *(comparison.missing if comparison else ())),
    )


def _chart(store: Store, missing: list[str]) -> ClassRepMap | None:
    if not store.storage.exists("map.parquet"):
        missing.append("There is no map yet (stac classrepsim makes it).")
        return None
    return _map_of(store, "map.parquet", missing)


def _attended(store: Store, missing: list[str]) -> ClassRepMap | None:
    return _map_of(store, ATTENDED, missing) if store.storage.exists(ATTENDED) else None


def _map_of(store: Store, name: str, missing: list[str]) -> ClassRepMap | None:
    where = f"{store.address}/{name}"
    try:
        return map_from_parquet(store.storage.read(name), source=where)
    except StoreError as error:
        missing.append(f"The map is damaged: {error}.")
        return None


def _comparison(past: Past, missing: list[str], *, picks_file: str | None) -> Comparison | None:
    if picks_file is None and not past.store.storage.exists("picks.json"):
        missing.append("There are no picks yet (stac classrepsim makes them).")
        return None
    if "complete" not in past.trainings["status"].unique().to_pylist():
        missing.append("No network is trained yet.")
        return None
    try:
        return compare(past, picks_file=picks_file)
    except StoreError as error:
        if picks_file is not None:
            raise
        missing.append(f"The picks are damaged: {error}.")
        return None


def _replays(
    past: Past, comparison: Comparison, missing: list[str], *, picks_file: str | None
) -> tuple[Replay, ...]:
    try:
        return report_replays(past, comparison, picks_file=picks_file)
    except StoreError as error:
        missing.append(f"The replays are damaged: {error}.")
        return ()


def _curves(past: Past, comparison: Comparison) -> tuple[Curve, ...]:
    worst = comparison.cloud.network_ids[int(np.argmin(comparison.cloud.accuracies))]
    wanted = {
        "best of the search": comparison.best.network_id,
        "pick": comparison.primary.network.network_id,
        "vanilla": past.study.space.base.network_id,
        "worst": worst,
    }
    return learning_curves(past.epochs, wanted)


def provenance(past: Past) -> Provenance:
    """Hashes, versions, machines and times of the study's attempts."""
    study, table = past.study, past.attempts.table
    study_id, space_id = study_and_space_id(study)

    def counted(name: str) -> dict[str, int]:
        return dict(Counter(filter(None, table[name].to_pylist())).most_common())

    def moment(time: datetime | None) -> str:
        return f"{time:%Y-%m-%d %H:%M}" if time else "unknown"

    aggregates = [("started_at", "min"), ("ended_at", "max")]
    first, last = table.group_by([]).aggregate(aggregates).to_pylist()[0].values()
    return Provenance(
        study_id=study_id,
        space_id=space_id,
        protocol_id=study.protocol.protocol_id,
        address=past.store.address,
        versions=counted("versions"),
        devices=counted("device_name"),
        commits=counted("code_commit"),
        statuses=counted("status"),
        first=moment(first),
        last=moment(last),
    )
