"""Settings of the whole suite: order of the files, properties without deadline, one thread."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings
from shapes import checked_shapes

settings.register_profile("suite", deadline=None, max_examples=50)
settings.load_profile("suite")
torch.set_num_threads(1)
os.environ.update(RAY_worker_niceness="0")  # or trials starve beside the other test processes
os.environ.update(AWS_EC2_METADATA_DISABLED="true", NO_GCE_CHECK="true")  # no test asks a cloud

SHAPED = {
    f"test_{name}"
    for name in (
        *("attention", "resnet", "scalesignal", "augment", "probe", "probeset", "anynet"),
        *("knn", "classrepsim", "rules", "proxies", "agreement", "results", "verdict", "frontier"),
        *("attempts", "replay"),
    )
}

# Begun first, and the rest fills gaps.
LONGEST = ("test_cluster", "test_kill", "test_stop", "test_run", "test_s3", "test_takeover")
LONGEST += ("test_documents", "test_wheel", "test_ray_up_aws", "test_demo")
# A file with such a line starts processes or Ray, or says that it takes seconds.
SLOW = re.compile(
    r"^(import subprocess|from searches import .*\bDriver\b|from search.drive.ray_session import"
    r"|pytestmark = .*\.slow\b)",
    flags=re.M,
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that start Ray come first, so that the processes end at about the same time."""
    rank = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(LONGEST)))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """`make test-quick` does not even import what it leaves out."""
    is_left_out = "not slow" in config.option.markexpr and collection_path.suffix == ".py"
    return True if is_left_out and SLOW.search(collection_path.read_text()) else None


@pytest.fixture(autouse=True)
def shapes(request: pytest.FixtureRequest) -> Iterator[None]:
    """Where arrays are reckoned with, their shapes are those of their names (see shapes.py)."""
    if request.path.stem not in SHAPED:
        yield
        return
    with checked_shapes() as faults:
        yield
    assert not faults, "\n".join(dict.fromkeys(faults))
