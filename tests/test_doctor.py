"""The preflight finds what would stop a search, before hours are spent."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from searches import cheap

from search.doctor import Finding, doctor
from search.ray_session import ray_session
from search.store import Store
from search.study import Resources
from stacnet.protocol import Prepared


@pytest.fixture(scope="module", autouse=True)
def ray_up() -> Iterator[None]:
    """One Ray for all tests of this file."""
    with ray_session(None):
        yield


def wrong(findings: list[Finding]) -> dict[str, str]:
    """What is not ok."""
    return {finding.about: finding.text for finding in findings if not finding.ok}


def test_a_sound_study_has_nothing_wrong_and_leaves_no_trace(tmp_path: Path) -> None:
    findings = doctor(cheap(), str(tmp_path), None)
    assert wrong(findings) == {}
    kinds = {finding.about.split(" on ")[0] for finding in findings}
    assert {"study", "space", "folder", "versions", "devices", "data", "storage"} <= kinds
    assert not list(tmp_path.glob("*"))


def test_missing_data_a_missing_gpu_and_another_study_are_found(tmp_path: Path) -> None:
    Store(tmp_path).begin(cheap())
    protocol = replace(cheap().protocol, data=Prepared(name="nowhere"))
    study = replace(cheap(), protocol=protocol, resources=Resources(gpus=1.0))
    faults = wrong(doctor(study, str(tmp_path), None))
    found = {name.split(" on ")[0]: text for name, text in faults.items()}
    assert "nowhere" in found["data"]
    assert "no GPU" in found["devices"]
    assert "protocol.data" in found["folder"]


def test_an_unwritable_storage_is_one_finding(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = wrong(doctor(None, str(tmp_path / "file" / "below"), None))
    assert "Not a directory" in found["storage"]
