"""Settings of the whole suite: order of the files, properties without deadline, one thread."""

import os

import pytest
import torch
from hypothesis import settings

settings.register_profile("suite", deadline=None, max_examples=50)
settings.load_profile("suite")
torch.set_num_threads(1)
os.environ.update(RAY_worker_niceness="0")  # or trials starve beside the other test processes

# Begun first, and the rest fills gaps.
LONGEST = ("test_cluster", "test_kill", "test_stop", "test_run", "test_s3", "test_takeover")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that start Ray come first, so that the processes end at about the same time."""
    rank = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(LONGEST)))
