"""What others may take away with an upgrade: their private names that we use, and where."""

import re
from importlib import import_module
from pathlib import Path

import optuna
import pytest
import torch

ROOT = Path(__file__).parents[2]
PLACES = {  # one file for Ray; one line each for the others
    "search/drive/private.py",
    "search/sampling/optuna_space.py",
    "stacnet/flow.py",
    "stacnet/recipe.py",
}
PACKAGES = ("stacnet", "search", "analysis", "stac")
PRIVATE = re.compile(r"\b(?:ray|optuna|torch|tyro|pyarrow)\b[\w.]*\._\w+|\._get_\w+\(")


@pytest.mark.parametrize(
    ("module", "name", "breaks"),
    [
        ("_raylet", "AuthenticationTokenLoader.instance", "a private Ray's token; doctor's look"),
        ("_raylet", "Config.initialize", "a private Ray's token"),
        ("_raylet", "GcsClient", "stac cluster: who is at work on the head"),
        (
            "_raylet",
            "InnerGcsClient.drain_node",
            "new work for a machine that goes",
        ),
        ("core.generated.autoscaler_pb2", "DrainNodeReason", "the same"),
        ("_private.worker", "_global_node", "the end of a private Ray when its driver is killed"),
        ("_private.worker", "print_to_stdstream", "a clean progress bar"),
        ("_private.node", "Node.start_monitor", "a private Ray without an autoscaler"),
        ("_private.node", "Node.start_log_monitor", "a private Ray without a reader of logs"),
        ("_private.node", "Node.start_api_server", "a private Ray without a dashboard"),
        ("_private.ray_constants", "ENABLE_RAY_CLUSTER", "a private Ray on the loopback only"),
        ("_private.ray_constants", "DEBUG_AUTOSCALING_STATUS", "stac cluster wait: why not"),
        ("_private.ray_constants", "DEBUG_AUTOSCALING_ERROR", "stac cluster wait: why not"),
        ("_private.services", "canonicalize_bootstrap_address_or_die", "stac cluster on the head"),
        ("autoscaler._private.commands", "debug_status", "stac cluster wait: why not"),
        ("autoscaler.v2.utils", "is_autoscaler_v2", "the same without ray.init: stac status"),
        ("autoscaler._private.local.config", "get_state_path", "ray up of a replaced local head"),
        ("autoscaler._private.local.config", "prepare_local", "cluster.local.yaml"),
        ("autoscaler._private.local.node_provider", "LocalNodeProvider", "cluster.local.yaml"),
        ("autoscaler._private.aws.node_provider", "AWSNodeProvider", "cluster.yaml"),
        ("autoscaler._private.providers", "_get_default_config", "cluster.yaml, both"),
        ("autoscaler._private.commands", "create_or_update_cluster", "ray up is told from others"),
    ],
)
def test_ray_still_has_the_private_name(module: str, name: str, breaks: str) -> None:
    found = import_module(f"ray.{module}")
    for part in name.split("."):
        assert hasattr(found, part), f"Ray has no {module}.{name} any more: {breaks}"
        found = getattr(found, part)


def test_nsga2_still_names_the_generation_of_a_trial() -> None:
    assert isinstance(optuna.samplers.NSGAIISampler()._get_generation_key(), str)


def test_torch_still_says_whether_the_processor_computes_in_bfloat16() -> None:
    assert torch.ops.mkldnn._is_mkldnn_bf16_supported() in (True, False)


def test_private_names_are_used_in_these_places_only() -> None:
    sources = (path for part in PACKAGES for path in (ROOT / part).rglob("*.py"))
    users = {str(p.relative_to(ROOT)) for p in sources if PRIVATE.search(p.read_text())}
    assert users == PLACES
