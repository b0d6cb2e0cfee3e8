"""Preflight: would this study run here, on every node, and could its results be read back?"""

from collections.abc import Iterator

from search.errors import StorageError, StudyError
from search.preflight import Finding, node_findings, token_finding
from search.store import Store
from search.study import Study, first_difference, study_from_json


def doctor(study: Study | None, out: str | None, address: str | None) -> list[Finding]:
    """Look at the study, the storage and every node of the cluster.

    Args:
        study: None looks at the machines only.
        out: folder that the study will be written to.
        address: Ray cluster; None looks at this machine.
    """
    findings = list(_study(study)) if study else []
    if out is not None:
        findings += _folder(out, study)
    return findings + list(_nodes(study, out, address))


def _study(study: Study) -> Iterator[Finding]:
    back = study_from_json(study.to_json(), source="study")
    same = first_difference(study, back)
    text = (
        f"must survive its JSON, got another {same}" if same else f"{study.name}, {study.study_id}"
    )
    yield Finding(about="study", ok=same is None, text=text)
    size = study.space.size()
    try:
        for point in (0, size // 2, size - 1):
            study.space.spec(point)
        yield Finding(about="space", ok=True, text=f"{size} points")
    except ValueError as error:
        yield Finding(about="space", ok=False, text=str(error))


def _folder(out: str, study: Study | None) -> Iterator[Finding]:
    try:
        store = Store(out)
        difference = first_difference(store.study(), study) if study and store.exists() else None
    except StudyError as error:
        yield Finding(about="folder", ok=False, text=str(error))
        return
    text = f"must hold the same study, got another {difference}" if difference else store.address
    yield Finding(about="folder", ok=difference is None, text=text)


def _nodes(study: Study | None, out: str | None, address: str | None) -> Iterator[Finding]:
    from search.ray_session import ray_session

    token = token_finding(address)
    if token is not None:
        yield token
        if not token.ok:
            return  # Ray would try to connect for a minute
    with ray_session(address):
        try:
            yield from node_findings(study, out, is_cluster=address is not None)
        except StorageError as error:
            yield Finding(about="storage", ok=False, text=str(error))
