"""Before anything starts and a byte is written: would this study run, here or on these nodes?"""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import yaml

from search.drive.ray_session import lent_cpus
from search.errors import StudyError
from search.store.status import status
from search.store.store import Store
from search.study.networks import check_bounds
from search.study.study import Resources, Study
from stacnet.data.cache import open_cache
from stacnet.data.images import data_folder, load
from stacnet.data_spec import Prepared
from stacnet.fit import check_fit
from stacnet.spec import NamedSpec

Node = Mapping[str, float]  # resource -> how much of it
BOOTSTRAP = "~/ray_bootstrap_config.yaml"  # what `ray up` leaves on the head it starts


def pinned(study: Study) -> Study:
    """The study with the checksum of the prepared data that this machine has.

    Raises:
        ValueError: the data is not here.
    """
    data = study.protocol.data
    if not isinstance(data, Prepared) or data.checksum:
        return study
    data = replace(data, checksum=open_cache(data_folder() / data.name).checksum)
    return replace(study, protocol=replace(study.protocol, data=data))


def preflight(study: Study, *, address: str | None) -> None:
    """Refuse what cannot be trained: everything that can be known without Ray.

    Args:
        address: Ray cluster that is going to be used; None for this machine.

    Raises:
        ValueError: the data is not here or another one, network, recipe and data do not fit each
            other, no network meets the bounds, or this machine is too small; rule and value.
    """
    if address is None and not _is_ray_up():
        _check_machine(study.resources)
    check_fit(study.space.base, study.protocol, load(study.protocol.data))
    check_bounds(study.space)
    if isinstance(study.space.base, NamedSpec):
        from stacnet.network import outline  # torch, which a driver does not need

        outline(study.space.base)


def admitted(store: Store, study: Study, *, address: str | None) -> Study:
    """The study as this store has it or will have it: with its data pinned, and able to run.

    Raises:
        ValueError: another study is here; or as for `preflight`.
    """
    if store.exists():
        store.begin(study)  # refuses another one, writes nothing
        return ready(store, address=address)
    study = pinned(study)
    preflight(study, address=address)
    return study


def ready(store: Store, *, address: str | None) -> Study:
    """The stored study, if it can go on; one that owes nothing may be told so anywhere.

    Raises:
        ValueError: as for `preflight`.
    """
    study = store.study()
    try:
        preflight(study, address=address)
    except ValueError:
        now = status(store)
        if now.missing or now.running:
            raise
    return study


def look_at_nodes(study: Study, *, address: str | None) -> None:
    """`check_devices` on the Ray this process is connected to; a line on stderr if it must wait."""
    import ray

    types = None if address is None else node_types(Path(BOOTSTRAP).expanduser())
    line = check_devices(study, [node["Resources"] for node in ray.nodes() if node["Alive"]], types)
    if line:
        print(line, file=sys.stderr, flush=True)


def check_devices(study: Study, nodes: Sequence[Node], types: Sequence[Node] | None) -> str:
    """Refuse resources that no node can ever give.

    Args:
        nodes: CPUs and GPUs of each node that is there.
        types: of each kind of node that an autoscaler may start; empty where that is not known;
            None without autoscaler.

    Returns:
        A line for the user if only a node that is not there yet could give them, else nothing.

    Raises:
        StudyError: what is wanted, and the largest there is.
    """
    wanted = study.resources
    if any(_holds(node, wanted) for node in nodes):
        return ""
    want = f"cpus={wanted.cpus} gpus={wanted.gpus:g}"
    if types is None or (not any(_holds(node, wanted) for node in types if node) and all(types)):
        raise StudyError(
            f"a trial must fit one node, got {want}; there are {_listed([*nodes, *(types or ())])}"
        )
    return f"waiting for a node that a trial ({want}) fits; there are {_listed(nodes)}"


def node_types(config: Path) -> list[Node] | None:
    """What the nodes that a cluster file describes would have; None if there is no such file."""
    try:
        types = yaml.safe_load(config.read_text())["available_node_types"]
        return [
            {name: float(number) for name, number in (kind.get("resources") or {}).items()}
            for kind in types.values()
            if kind.get("max_workers", 1)
        ]
    except FileNotFoundError:
        return None
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError):
        return [{}]  # an autoscaler, and nothing is known of it


def _check_machine(wanted: Resources) -> None:
    cpus = lent_cpus() or os.cpu_count() or 1
    if wanted.cpus > cpus:
        raise StudyError(f"cpus of a trial must be at most the {cpus} here, got cpus={wanted.cpus}")
    if wanted.gpus:
        import torch

        gpus = torch.cuda.device_count()
        if wanted.gpus > gpus:
            raise StudyError(
                f"gpus of a trial must be at most the {gpus} here, got gpus={wanted.gpus:g}"
            )


def _is_ray_up() -> bool:
    """Whether this process uses a Ray already: its nodes count, not this machine."""
    ray = sys.modules.get("ray")
    return ray is not None and ray.is_initialized()


def _holds(node: Node, wanted: Resources) -> bool:
    return node.get("CPU", 0) >= wanted.cpus and node.get("GPU", 0) >= wanted.gpus


def _listed(nodes: Sequence[Node]) -> str:
    """Each kind of node once: the CPUs and GPUs of it."""
    kinds = dict.fromkeys((node.get("CPU", 0), node.get("GPU", 0)) for node in nodes if node)
    return ", ".join(f"nodes of {cpus:g} CPUs {gpus:g} GPUs" for cpus, gpus in kinds) or "none"
