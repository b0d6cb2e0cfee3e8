"""cluster.yaml as a user edits it, for moto's EC2, IAM and S3."""

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
REGION = "us-west-2"
CHANGES = {
    "CHANGE-my-bucket": "lab-bucket",
    "CHANGE-203.0.113.7/32": "198.51.100.4/32",
    "CHANGE-ami-0123456789abcdef0": "ami-12c6146b",
}


def edited() -> str:
    """The file's text with every CHANGE made."""
    text = (ROOT / "cluster.yaml").read_text()
    for old, new in CHANGES.items():
        assert old in text
        text = text.replace(old, new)
    return text


def as_a_user_edits_it() -> dict[str, Any]:
    """Its fields."""
    return yaml.safe_load(edited())
