"""What can be wrong with a node of a cluster, each thing in one line."""

import os
import platform
import socket
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from search.drive import private
from search.errors import StorageError
from search.store.rows import code_commit
from search.store.storage import Storage
from search.study.study import Study
from stacnet.data.images import load
from stacnet.data_spec import DataSpec, Prepared

PACKAGES = ("torch", "torchvision", "ray", "optuna", "pyarrow", "numpy", "stacnet")
ANSWER_S = 120.0  # a node's first answer includes importing torch


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Args:
        about: what.
        ok: whether a search can do with it.
        text: what was found; the rule first if it is not ok.
    """

    about: str
    ok: bool
    text: str


@dataclass(frozen=True, kw_only=True)
class NodeFacts:
    """What one machine says of itself.

    Args:
        hostname: its name.
        versions: of Python, packages, and the commit of the code.
        asks_for_token: whether its Ray asks for the cluster's token.
        sees_probe: whether it reads what the driver wrote to the storage.
        storage_error, data_error: why it cannot use them; empty if it can.
    """

    hostname: str
    versions: dict[str, str]
    asks_for_token: bool
    sees_probe: bool
    storage_error: str
    data_error: str


def node_facts(out: str | None, probe: str, data: DataSpec | None) -> NodeFacts:
    """Look at this machine: run on each node.

    Args:
        out: address of the study's folder; None looks at no storage.
        probe: name of a file that the driver wrote there; this machine writes one beside it.
        data: what the study learns; None on machines that run no trials.
    """
    sees, error = _use_storage(out, probe) if out is not None else (True, "")
    return NodeFacts(
        hostname=socket.gethostname(),
        versions=installed(),
        asks_for_token=os.environ.get("RAY_AUTH_MODE", "").lower() == "token",
        sees_probe=sees,
        storage_error=error,
        data_error=_data_error(data),
    )


def node_findings(study: Study | None, out: str | None, *, is_cluster: bool) -> Iterator[Finding]:
    """Look at every node of the Ray that this process is connected to.

    Args:
        study: what is going to run; None looks at the machines only.
        out: where its rows will lie.
        is_cluster: whether others can reach this Ray, so that it must ask for a token.
    """
    import ray

    nodes = [node for node in ray.nodes() if node["Alive"]]
    yield from _device_findings(nodes, study)
    probe = f"doctor-{uuid.uuid4().hex}"
    storage = Storage(out) if out is not None else None
    if storage:
        storage.write(probe, b"driver")
    try:
        answers = [_ask(node, storage, probe, study) for node in nodes]
        for node, answer in zip(nodes, answers, strict=True):
            yield from _judged(node, answer, storage, probe, is_cluster=is_cluster)
    finally:
        for name in storage.names() if storage else ():
            if storage and name.startswith(probe):
                storage.delete(name)


def token_finding(address: str | None) -> Finding | None:
    """Whether a driver here can show the cluster's token; None without a cluster."""
    if address is None:
        return None
    if private.has_token():
        return Finding(about="token", ok=True, text="there")
    text = "missing: a cluster wants its token, got none in RAY_AUTH_TOKEN or ~/.ray/auth_token"
    return Finding(about="token", ok=False, text=text)


def installed() -> dict[str, str]:
    """Versions of what results depend on, and the commit of the code."""
    found = {"python": platform.python_version(), "code": code_commit() or "unknown"}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "missing"
    return found


def _ask(node: dict[str, Any], storage: Storage | None, probe: str, study: Study | None) -> Any:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    there = NodeAffinitySchedulingStrategy(node_id=node["NodeID"], soft=False)
    remote = ray.remote(node_facts).options(  # type: ignore[attr-defined]
        num_cpus=0, max_retries=0, scheduling_strategy=there
    )
    has_trials = node["Resources"].get("CPU", 0) + node["Resources"].get("GPU", 0) > 0
    data = study.protocol.data if study and has_trials else None
    return remote.remote(storage and storage.address, probe, data)


def _judged(
    node: dict[str, Any], answer: Any, storage: Storage | None, probe: str, *, is_cluster: bool
) -> Iterator[Finding]:
    """What the node said, held against this machine."""
    import ray
    from ray.exceptions import RayError

    try:
        facts: NodeFacts = ray.get(answer, timeout=ANSWER_S)
    except RayError as error:
        text = f"must answer, got {str(error).strip().splitlines()[-1]}"
        yield Finding(about=f"node {node['NodeManagerHostname']}", ok=False, text=text)
        return
    faults = {
        "versions": _version_fault(facts.versions),
        "storage": _storage_fault(facts, storage, probe) if storage else "",
        "data": f"cache missing: {facts.data_error}" if facts.data_error else "",
        "token": "" if facts.asks_for_token or not is_cluster else OPEN,
    }
    for about, fault in faults.items():
        yield Finding(about=f"{about} on {facts.hostname}", ok=not fault, text=fault or "fit")


OPEN = "must be asked for (RAY_AUTH_MODE=token before `ray start`), got a cluster open to anybody"


def _version_fault(theirs: dict[str, str]) -> str:
    here = installed()
    differing = [
        f"{name} {theirs.get(name)} (here {here[name]})"
        for name in here
        if theirs.get(name) != here[name]
    ]
    return f"must equal the driver's, got {', '.join(differing)}" if differing else ""


def _storage_fault(facts: NodeFacts, storage: Storage, probe: str) -> str:
    if facts.storage_error:
        return f"not usable: {facts.storage_error}"
    if facts.sees_probe and storage.exists(f"{probe}-{facts.hostname}"):
        return ""
    return (
        f"not shared: this machine and the driver must see the same files in {storage.address}, "
        "got different ones; use a shared folder or s3://"
    )


def _use_storage(out: str, probe: str) -> tuple[bool, str]:
    """Whether the driver's file is seen, and why the storage cannot be used, if so."""
    try:
        storage = Storage(out)
        sees = storage.exists(probe)
        storage.write(f"{probe}-{socket.gethostname()}", b"node")
    except (StorageError, OSError) as error:
        return False, " ".join(str(error).split())
    return sees, ""


def _data_error(data: DataSpec | None) -> str:
    if not isinstance(data, Prepared):
        return ""  # embedded or procedural data come with the code
    try:
        load(data)
    except (ValueError, OSError) as error:
        return " ".join(str(error).split())
    return ""


def _device_findings(nodes: list[dict[str, Any]], study: Study | None) -> Iterator[Finding]:
    """GPUs may be on some nodes only: a head that runs no trials needs none."""
    if study is None:
        return
    wanted = study.resources
    have = [(n["Resources"].get("CPU", 0), n["Resources"].get("GPU", 0)) for n in nodes]
    total = f"{sum(c for c, _ in have):g} CPUs and {sum(g for _, g in have):g} GPUs"
    each = f"each trial wants {wanted.cpus} CPUs and {wanted.gpus:g} GPUs"
    ok = any(cpus >= wanted.cpus and gpus >= wanted.gpus for cpus, gpus in have)
    no_gpu = wanted.gpus > 0 and not any(gpus for _, gpus in have)
    text = f"no GPU: {each}" if no_gpu else f"no node is large enough: {each}"
    yield Finding(about="devices", ok=ok, text=total if ok else f"{text}, got {total}")
