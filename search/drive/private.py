"""Ray's private doors, each for what it has no public one for: an upgrade may close any of them."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any


def has_token() -> bool:
    """Whether a driver here can show a cluster's token."""
    loader = _compiled().AuthenticationTokenLoader.instance()
    return loader.has_token(ignore_auth_mode=True)


def read_token_anew() -> None:
    """Look for the token again: the environment that says where it is has changed."""
    _compiled().Config.initialize("")
    _compiled().AuthenticationTokenLoader.instance().reset_cache()


def started_processes() -> dict[str, Any]:
    """Kind -> process of what `ray.init` has started here; the last one of its kind."""
    kinds = import_module("ray._private.worker")._global_node.all_processes.items()
    return {name: info.process for name, infos in kinds for info in infos}


def print_nothing() -> None:
    """What befell a worker is a row, and Ray has no option to keep it off the progress bar."""
    worker: Any = import_module("ray._private.worker")
    worker.print_to_stdstream = lambda *data, **how: None


@contextmanager
def on_the_loopback() -> Iterator[None]:
    """A Ray that is started in the body is reached from this machine only."""
    constants: Any = import_module("ray._private.ray_constants")
    before, constants.ENABLE_RAY_CLUSTER = constants.ENABLE_RAY_CLUSTER, False
    try:
        yield
    finally:
        constants.ENABLE_RAY_CLUSTER = before


@contextmanager
def without_watchers() -> Iterator[None]:
    """A Ray that is started in the body has no autoscaler, dashboard or reader of logs.

    Nobody would ask these three processes, and to start them takes 3 s of CPU.
    """
    node: Any = import_module("ray._private.node").Node
    names = ("start_monitor", "start_log_monitor", "start_api_server")
    before = {name: getattr(node, name) for name in names}
    for name in names:
        setattr(node, name, lambda *_, **__: None)
    try:
        yield
    finally:
        for name, function in before.items():
            setattr(node, name, function)


def head_address() -> str:
    """`host:port` of this machine's cluster.

    Raises:
        ConnectionError: there is none.
    """
    return import_module("ray._private.services").canonicalize_bootstrap_address_or_die("auto")


def head_client(address: str) -> Any:
    """A client of a cluster's head: its jobs and its notes."""
    return _compiled().GcsClient(address=address)


def drain_this_node(why: str, *, seconds: int) -> None:
    """Let Ray start nothing more on this worker's node, which is about to go; a head stays.

    A node that does nothing any more then ends by itself.
    """
    ray = import_module("ray")
    here = ray.get_runtime_context().get_node_id()
    node = next((node for node in ray.nodes() if node["NodeID"] == here), None)
    if node is None or "node:__internal_head__" in node["Resources"]:
        return
    reasons = import_module("ray.core.generated.autoscaler_pb2").DrainNodeReason
    reason = reasons.Value("DRAIN_NODE_REASON_PREEMPTION")
    end_ms = 1000 * (int(time.time()) + seconds)
    client = head_client(ray.get_runtime_context().gcs_address)
    client.drain_node(here, reason, why, end_ms)


def autoscaler_report(client: Any) -> str:
    """The text of `ray status`, with the reasons of failures, from either autoscaler."""
    constants = import_module("ray._private.ray_constants")
    keys = (constants.DEBUG_AUTOSCALING_STATUS, constants.DEBUG_AUTOSCALING_ERROR)
    status, error = (client.internal_kv_get(key.encode()) for key in keys)
    import_module("ray.autoscaler.v2.utils").is_autoscaler_v2(gcs_client=client)  # it is kept
    commands = import_module("ray.autoscaler._private.commands")
    return commands.debug_status(status, error, verbose=True, address=client.address)


def launcher_notes(cluster: str) -> str:
    """The file in which `ray up` notes the machines of a local cluster."""
    return import_module("ray.autoscaler._private.local.config").get_state_path(cluster)


def is_launching() -> bool:
    """Whether Ray is about to start a cluster: `ray up`, and others with `--start`."""
    frame = sys._getframe()
    while frame is not None:
        if frame.f_code.co_name == "create_or_update_cluster":
            return True
        frame = frame.f_back
    return False


def launch_defaults(kind: str) -> dict[str, Any]:
    """What Ray adds to a cluster's YAML for a provider of that type."""
    return import_module("ray.autoscaler._private.providers")._get_default_config({"type": kind})


def prepared_local(config: dict[str, Any]) -> dict[str, Any]:
    """A cluster's YAML with the one node type that Ray's provider of listed machines has."""
    prepare = import_module("ray.autoscaler._private.local.config").prepare_local
    return prepare(config)[0]


def local_provider() -> Any:
    """The class of Ray's provider of listed machines."""
    return import_module("ray.autoscaler._private.local.node_provider").LocalNodeProvider


def aws_provider() -> Any:
    """The class of Ray's provider of AWS; boto3 must be installed."""
    return import_module("ray.autoscaler._private.aws.node_provider").AWSNodeProvider


def _compiled() -> Any:
    return import_module("ray._raylet")
