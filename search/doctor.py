"""Preflight: would this study run here, on every node, and could its results be read back?"""

import json
import platform
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from search.errors import StudyError
from search.storage import Storage
from search.store import Store
from search.study import Study, first_difference, study_from_json

PACKAGES = ("torch", "torchvision", "ray", "optuna", "pyarrow", "numpy", "stacnet")
NODE_TIMEOUT_S = 90.0


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
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    from search.ray_session import ray_session

    token = f"doctor-{uuid.uuid4().hex[:8]}"
    data = json.dumps(study.protocol.to_dict()["data"]) if study else ""
    mine = look(None, "", "")["versions"]
    with ray_session(address):
        nodes = [node for node in ray.nodes() if node["Alive"]]
        tasks = {
            node["NodeManagerHostname"]: ray.remote(look)
            .options(
                num_cpus=0,
                scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False),
            )
            .remote(out, f"{token}-{number}", data)
            for number, node in enumerate(nodes)
        }
        for host, task in tasks.items():
            try:
                yield from _judge(host, ray.get(task, timeout=NODE_TIMEOUT_S), mine, study)
            except Exception as error:  # whatever a node does wrong is a finding
                reason = str(error).strip().splitlines()[-1]
                yield Finding(about=f"node {host}", ok=False, text=f"must answer, got {reason}")
    if out is not None:
        yield _read_back(out, token, len(tasks))


def look(out: str | None, name: str, data: str) -> dict[str, Any]:
    """What a node is like; runs there. Errors are text, for the driver to judge."""
    report: dict[str, Any] = {"versions": _versions(), "storage": "", "data": "", "devices": "cpu"}
    if out is not None:
        try:
            Storage(out).write(f".doctor/{name}", b"written")
        except StudyError as error:
            report["storage"] = str(error)
    if data:
        try:
            report["devices"] = _devices()
            _load_data(data)
        except (ValueError, OSError) as error:
            report["data"] = str(error)
    return report


def _judge(
    host: str, report: dict[str, Any], mine: dict[str, str], study: Study | None
) -> Iterator[Finding]:
    theirs = report["versions"]
    differing = [
        f"{name} {theirs.get(name)} (here {mine[name]})"
        for name in mine
        if theirs.get(name) != mine[name]
    ]
    text = f"versions must equal the driver's, got {', '.join(differing)}" if differing else "equal"
    yield Finding(about=f"versions on {host}", ok=not differing, text=text)
    if report["storage"]:
        yield Finding(about=f"storage on {host}", ok=False, text=report["storage"])
    if study is not None:
        ok = not study.resources.gpus or "cuda" in report["devices"]
        text = report["devices"] if ok else f"study needs a GPU, got {report['devices']}"
        yield Finding(about=f"devices on {host}", ok=ok, text=text)
        text = report["data"] or "loads"
        yield Finding(about=f"data on {host}", ok=not report["data"], text=text)


def _read_back(out: str, token: str, num_nodes: int) -> Finding:
    storage = Storage(out)
    names = [f".doctor/{token}-{number}" for number in range(num_nodes)]
    there = [name for name in names if storage.exists(name)]
    for name in there:
        storage.delete(name)
    ok = len(there) == num_nodes
    text = f"{len(there)} of {num_nodes} nodes wrote what the driver can read"
    return Finding(about="storage", ok=ok, text=text if ok else f"all must, got {text}")


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "missing"
    return found


def _devices() -> str:
    import torch

    if not torch.cuda.is_available():
        return "cpu"
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return f"cuda: {', '.join(names)}"


def _load_data(data: str) -> None:
    from pydantic import TypeAdapter

    from stacnet.data.images import load
    from stacnet.protocol import DataSpec

    load(TypeAdapter(DataSpec).validate_json(data))
