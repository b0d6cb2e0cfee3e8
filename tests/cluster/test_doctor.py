"""The preflight finds what would stop a search, before hours are spent."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from searches import cheap

from search.cluster.doctor import Finding, doctor
from search.drive.ray_session import ray_session
from search.store.store import Store
from search.study.study import Resources
from stacnet.data_spec import Prepared


@pytest.fixture(scope="module", autouse=True)
def packages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One Ray for all tests of this file; a folder that its workers import from, and we do not."""
    folder = tmp_path_factory.mktemp("packages")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder))
        with ray_session(None):
            yield folder


def wrong(findings: list[Finding]) -> dict[str, str]:
    """What is not ok."""
    return {finding.about: finding.text for finding in findings if not finding.ok}


def test_a_sound_study_has_nothing_wrong_and_leaves_no_trace(tmp_path: Path) -> None:
    findings = doctor(cheap(), str(tmp_path), None)
    assert wrong(findings) == {}
    kinds = {finding.about.split(" on ")[0] for finding in findings}
    assert {"study", "preflight", "folder", "versions", "devices", "data", "storage"} <= kinds
    assert not list(tmp_path.glob("*"))


def test_a_node_with_another_version_of_a_package_is_named_with_both(packages: Path) -> None:
    metadata = packages / "optuna-0.1.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: optuna\nVersion: 0.1\n")
    try:
        (fault,) = wrong(doctor(None, None, None)).values()
    finally:
        shutil.rmtree(metadata.parent)
    assert fault == f"must equal the driver's, got optuna 0.1 (here {optuna.__version__})"


def test_missing_data_a_missing_gpu_and_another_study_are_found(tmp_path: Path) -> None:
    Store(tmp_path).begin(cheap())
    protocol = replace(cheap().protocol, data=Prepared(name="nowhere"))
    study = replace(cheap(), protocol=protocol, resources=Resources(gpus=1.0))
    faults = wrong(doctor(study, str(tmp_path), None))
    found = {name.split(" on ")[0]: text for name, text in faults.items()}
    assert "nowhere" in found["data"]
    assert "nowhere" in found["preflight"]
    assert "no GPU" in found["devices"]
    assert "protocol.data" in found["folder"]


def test_an_unwritable_storage_is_one_finding(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = wrong(doctor(None, str(tmp_path / "file" / "below"), None))
    assert "Not a directory" in found["storage"]
