"""moto's AWS, for the tests of clusters there."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from amazon import REGION
from moto import mock_aws

from search.cluster import aws


@pytest.fixture
def amazon(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """A client of moto's EC2, without the waits for a real one."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")  # 3 s
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(aws, "IAM_SETTLES_S", 0)
    from ray.autoscaler._private.aws import utils

    with mock_aws():
        utils.resource_cache.cache_clear()
        utils.client_cache.cache_clear()
        yield boto3.client("ec2", region_name=REGION)
