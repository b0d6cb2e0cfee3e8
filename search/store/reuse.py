"""Finished trainings of another store count in this one, when they were trained the same way."""

from dataclasses import replace

import pyarrow as pa

from search.errors import StudyError
from search.store.part import KEY
from search.store.rows import study_and_space_id
from search.store.schema import CELLS, EPOCHS
from search.store.store import Store
from search.study.networks import Networks, is_too_large
from search.study.study import Study, first_difference
from search.study.training import Key

COSTLESS = ("wait_s", "wall_s", "device_s", "wasted_device_s")  # spent there, not here


def check_source(source: Store, study: Study) -> None:
    """Refuse trainings that could not count here, before a study begins with them.

    Raises:
        StudyError: the other store holds no study or one that trains in another way (the field is
            named), or the space is too large to list.
    """
    other = source.study()
    same = replace(other, protocol=study.protocol)
    difference = first_difference(other, same) or first_difference(same, other)
    if difference:
        raise StudyError(f"reuse needs trainings of the same protocol, got another {difference}")
    if is_too_large(study):
        raise StudyError(
            f"reuse needs a space small enough to list, got {study.space.size()} points"
        )


def reuse(
    store: Store, source: Store, *, study: Study, among: Networks | None, known: set[Key]
) -> int:
    """Copy complete trainings that this study wants and does not have; how many.

    They are marked `suggested_by = reuse:<study>`, with the effort of this study, which is none.
    """
    assert among is not None  # see `check_source`
    origin = source.study().study_id
    study_id, space_id = study_and_space_id(study)
    rows = []
    for row in source.trainings().to_pylist():
        key = tuple(row[name] for name in KEY)
        wanted = (
            row["status"] == "complete"
            and row["protocol_id"] == study.protocol.protocol_id
            and row["seed"] in study.seeds
            and row["network_id"] in among.row
            and key not in known
        )
        if wanted:
            change = {"study_id": study_id, "space_id": space_id, "is_canonical": None}
            change |= {"attempt": 0, "order": None, "point": among.point(row["network_id"])}
            change |= {"suggested_by": f"reuse:{origin}"} | dict.fromkeys(COSTLESS, 0.0)
            rows.append(row | change)
    if rows:
        keys = {tuple(row[name] for name in KEY) for row in rows}
        epochs = [
            row | {"attempt": 0}
            for row in source.epochs().to_pylist()
            if tuple(row[name] for name in KEY) in keys
        ]
        if epochs:
            store.write_merged("epochs", pa.Table.from_pylist(epochs, schema=EPOCHS))
        store.write_merged("cells", pa.Table.from_pylist(rows, schema=CELLS))
    return len(rows)
