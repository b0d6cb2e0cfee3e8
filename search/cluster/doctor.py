"""Preflight: would this study run here, on every node, and could its results be read back?"""

from collections.abc import Iterator

from search.drive.nodes import Finding, node_findings, token_finding
from search.drive.preflight import preflight
from search.errors import StorageError
from search.store.store import Store
from search.study.study import Study, first_difference
from stacnet.data.cache import verify
from stacnet.data.images import data_folder
from stacnet.data_spec import DataSpec, Prepared


def doctor(study: Study | None, out: str | None, address: str | None) -> list[Finding]:
    """Look at the study, the storage and every node of the cluster.

    Args:
        study: None looks at the machines only.
        out: folder that the study will be written to.
        address: Ray cluster; None looks at this machine.
    """
    findings = list(_study(study, address)) if study else []
    if out is not None:
        findings += _folder(out, study)
    return findings + list(_nodes(study, out, address))


def _study(study: Study, address: str | None) -> Iterator[Finding]:
    size = f"{study.space.size()} points"
    yield Finding(about="study", ok=True, text=f"{study.name}, {study.study_id}, {size}")
    try:
        preflight(study, address=address)
        _verify(study.protocol.data)
        yield Finding(about="preflight", ok=True, text="network, recipe, data and devices fit")
    except (ValueError, OSError) as error:
        yield Finding(about="preflight", ok=False, text=str(error))


def _verify(data: DataSpec) -> None:
    """Read all prepared images here once: a search trusts what their meta.json says of them."""
    if isinstance(data, Prepared):
        verify(data_folder() / data.name)


def _folder(out: str, study: Study | None) -> Iterator[Finding]:
    try:
        store = Store(out)
        difference = first_difference(store.study(), study) if study and store.exists() else None
    except ValueError as error:
        yield Finding(about="folder", ok=False, text=str(error))
        return
    text = f"must hold the same study, got another {difference}" if difference else store.address
    yield Finding(about="folder", ok=difference is None, text=text)


def _nodes(study: Study | None, out: str | None, address: str | None) -> Iterator[Finding]:
    from search.drive.ray_session import ray_session

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
