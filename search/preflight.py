"""What can be wrong with a cluster, found before hours are spent: each fault is one line."""

import os
import socket
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from search.errors import StorageError
from search.rows import code_commit, versions
from search.storage import Storage
from search.study import Study
from stacnet.data.images import load
from stacnet.protocol import DataSpec, Prepared

ANSWER_S = 120.0  # a node's first answer includes importing torch


@dataclass(frozen=True, kw_only=True)
class NodeFacts:
    """What one machine says of itself.

    Args:
        hostname: its name.
        versions: JSON of package versions, and the commit of the code.
        has_token_auth: whether its Ray asks for the cluster's token.
        sees_probe: whether it can read what the driver wrote to the storage.
        storage_error: why it cannot use the storage; empty if it can.
        data_error: why it cannot load the study's data; empty if it can.
    """

    hostname: str
    versions: str
    has_token_auth: bool
    sees_probe: bool
    storage_error: str
    data_error: str


def node_facts(storage: str, probe: str, data: DataSpec | None) -> NodeFacts:
    """Look at this machine: run on each node.

    Args:
        storage: address of the study's folder.
        probe: name of a file that the driver wrote there; this machine writes one beside it.
        data: what the study learns; None on machines that run no trials.
    """
    return NodeFacts(
        hostname=socket.gethostname(),
        versions=f"{versions()} {code_commit()}",
        has_token_auth=os.environ.get("RAY_AUTH_MODE", "").lower() == "token",
        **_storage_facts(storage, probe),
        data_error=_data_error(data) if data is not None else "",
    )


def cluster_faults(study: Study, out: str) -> list[str]:
    """Faults of the Ray cluster that this process is connected to; one line each, none if fit.

    Args:
        study: what is going to run.
        out: where its rows will lie.

    Raises:
        StorageError: the driver itself cannot use the storage.
    """
    import ray

    storage = Storage(out)
    probe = f"preflight-{uuid.uuid4().hex}"
    storage.write(probe, b"driver")
    nodes = [node for node in ray.nodes() if node["Alive"]]
    try:
        answers = [_ask(node, storage.address, probe, study) for node in nodes]
        facts = [_answer(node, answer) for node, answer in zip(nodes, answers, strict=True)]
        found = [*_storage_faults(storage, probe, facts), *_node_faults(facts)]
        return [*found, *_device_faults(nodes, study)]
    finally:
        for name in storage.names():
            if name.startswith(probe):
                storage.delete(name)


def token_faults(address: str | None) -> list[str]:
    """Whether a driver here can show the cluster's token; asked before connecting.

    Ray itself tries for a minute and then speaks of a cluster that does not answer.
    """
    from ray._raylet import AuthenticationTokenLoader  # type: ignore[attr-defined]

    if address is None or AuthenticationTokenLoader.instance().has_token(ignore_auth_mode=True):
        return []
    return [
        "token missing: a cluster of ours wants its token, got none in RAY_AUTH_TOKEN or "
        "~/.ray/auth_token; run this on the head, or copy the file from there"
    ]


def _ask(node: dict[str, Any], storage: str, probe: str, study: Study) -> Any:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    there = NodeAffinitySchedulingStrategy(node_id=node["NodeID"], soft=False)
    remote = ray.remote(node_facts).options(  # type: ignore[attr-defined]
        num_cpus=0, max_retries=0, scheduling_strategy=there
    )
    has_trials = node["Resources"].get("CPU", 0) + node["Resources"].get("GPU", 0) > 0
    return remote.remote(storage, probe, study.protocol.data if has_trials else None)


def _answer(node: dict[str, Any], answer: Any) -> NodeFacts | str:
    """What the node said, or the line about why it said nothing."""
    import ray
    from ray.exceptions import RayError

    try:
        return ray.get(answer, timeout=ANSWER_S)
    except RayError as error:
        why = str(error).strip().splitlines()[-1]
        return f"no answer from {node['NodeManagerHostname']}: {why}"


def _storage_facts(address: str, probe: str) -> dict[str, Any]:
    try:
        storage = Storage(address)
        sees = storage.exists(probe)
        storage.write(f"{probe}-{socket.gethostname()}", b"node")
    except (StorageError, OSError) as error:
        return {"sees_probe": False, "storage_error": " ".join(str(error).split())}
    return {"sees_probe": sees, "storage_error": ""}


def _data_error(data: DataSpec) -> str:
    if not isinstance(data, Prepared):
        return ""  # embedded or procedural: it comes with the code
    try:
        load(data)
    except (ValueError, OSError) as error:
        return " ".join(str(error).split())
    return ""


def _storage_faults(storage: Storage, probe: str, facts: list[NodeFacts | str]) -> Iterator[str]:
    written = set(storage.names())
    for node in facts:
        if isinstance(node, str):
            continue
        if node.storage_error:
            yield f"storage not usable on {node.hostname}: {node.storage_error}"
        elif not node.sees_probe or f"{probe}-{node.hostname}" not in written:
            yield (
                f"storage not shared: {node.hostname} and the driver must see the same files in "
                f"{storage.address}, got different ones; use a shared folder or s3://"
            )


def _node_faults(facts: list[NodeFacts | str]) -> Iterator[str]:
    here = f"{versions()} {code_commit()}"
    for node in facts:
        if isinstance(node, str):
            yield node
            continue
        if node.versions != here:
            yield (
                f"different versions: {node.hostname} must have the driver's {here}, "
                f"got {node.versions}"
            )
        if node.data_error:
            yield f"data cache missing on {node.hostname}: {node.data_error}"
        if not node.has_token_auth:
            yield (
                f"open cluster: Ray on {node.hostname} must ask for a token "
                "(RAY_AUTH_MODE=token before `ray start`), got none"
            )


def _device_faults(nodes: list[dict[str, Any]], study: Study) -> Iterator[str]:
    wanted = study.resources
    if wanted.gpus > 0 and not any(node["Resources"].get("GPU", 0) > 0 for node in nodes):
        yield f"no GPU: each trial wants {wanted.gpus:g} of one, got {len(nodes)} nodes without"
    elif not any(
        node["Resources"].get("CPU", 0) >= wanted.cpus
        and node["Resources"].get("GPU", 0) >= wanted.gpus
        for node in nodes
    ):
        yield f"no node fits a trial: it wants {wanted.cpus} CPUs and {wanted.gpus:g} GPUs"
