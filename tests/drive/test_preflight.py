"""One preflight before a byte is written: data, machine, cluster; and studies name their data."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import ray
from official_data import write_cifar10
from searches import changed, cheap

from search.drive.preflight import admitted, check_devices, node_types, pinned, preflight
from search.drive.run import Options, search
from search.errors import StudyError
from search.store.reuse import check_source
from search.store.store import Store
from search.study.study import Resources, Study
from stac.cli.main import main
from stacnet.data.prepare import open_source, prepare
from stacnet.data_spec import Prepared

UNFIT = {
    "classes": (
        lambda s: changed(s, "space.base.classes", 7),
        r"must have the data's classes, .* \(4, 3, 8, 8\), got \(7, 3, 8, 8\)",
    ),
    "batch": (
        lambda s: changed(s, "protocol.batch_size", 65),
        "batch_size must not exceed the training images, got 65 for 64 images",
    ),
    "crop": (
        lambda s: changed(s, "protocol.crop_padding", 8),
        "crop_padding must be less than the image .*, got crop_padding=8 for 8 pixels",
    ),
    "cache": (
        lambda s: changed(s, "protocol.data", Prepared(name="nowhere")),
        "nowhere: no prepared data here",
    ),
    "gpus": (
        lambda s: changed(s, "resources.gpus", 64),
        r"gpus of a trial must be at most the \d here, got gpus=64",
    ),
    "cpus": (
        lambda s: changed(s, "resources.cpus", 100_000),
        r"cpus of a trial must be at most the \d+ here, got cpus=100000",
    ),
    "bounds": (
        lambda s: changed(
            changed(s, "space.scales", ((1,), (1,), (1,))), "space.max_params_ratio", 1.0
        ),
        r"bounds must leave at least one network, got max_params_ratio=1\.0",
    ),
}


@pytest.mark.parametrize(("change", "message"), UNFIT.values(), ids=UNFIT)
def test_what_data_or_machine_cannot_do_is_refused_before_a_byte_is_written(
    tmp_path: Path, change: Callable[[Study], Study], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        search(change(cheap()), tmp_path / "out", options=Options(progress=False))
    assert not (tmp_path / "out").exists()
    assert not ray.is_initialized()


@pytest.mark.parametrize(
    "words", ["resources.cpus=100000", "seeds=[1,1]", "protocol.batch_size=4000"]
)
def test_the_command_line_refuses_in_one_line_and_leaves_no_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["search", "digits", "--out", str(tmp_path / "out"), "--override", words])
    printed = capsys.readouterr()
    assert len(printed.err.strip().splitlines()) == 1
    assert words.split("=")[0].split(".")[-1] in printed.err
    assert not (tmp_path / "out").exists()
    assert not ray.is_initialized()


def test_a_machine_that_lends_fewer_cores_is_a_smaller_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    study = replace(cheap(), resources=Resources(cpus=2))
    monkeypatch.setenv("STACNET_CPUS", "1")
    with pytest.raises(StudyError, match="cpus of a trial must be at most the 1 here, got cpus=2"):
        preflight(study, address=None)
    preflight(study, address="auto")  # the cluster's nodes are looked at when they are known


@pytest.fixture
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Two data folders, each with other images under the name `images`; the first is in use."""
    folders = [tmp_path / "one", tmp_path / "two"]
    for number, folder in enumerate(folders):
        write_cifar10(tmp_path / f"official{number}", seed=number)
        prepare(open_source(tmp_path / f"official{number}"), folder / "images")
    monkeypatch.setenv("STACNET_DATA", str(folders[0]))
    return folders


def on_images() -> Study:
    """A study of the prepared images."""
    base = replace(cheap().space.base, input_size=32, classes=10)
    study = replace(cheap(), space=replace(cheap().space, base=base))
    return changed(study, "protocol.data", Prepared(name="images"))


def test_a_study_names_the_images_it_begins_with_and_goes_on_with_no_others(
    tmp_path: Path, caches: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "out")
    study = admitted(store, on_images(), address=None)
    store.begin(study)
    assert len(study.protocol.data.checksum) == 64  # type: ignore[union-attr]
    assert admitted(store, on_images(), address=None) == study
    monkeypatch.setenv("STACNET_DATA", str(caches[1]))
    other = pinned(on_images())
    assert other.protocol.protocol_id != study.protocol.protocol_id
    with pytest.raises(ValueError, match="the study was made on other data: checksum must be"):
        admitted(store, on_images(), address=None)
    with pytest.raises(StudyError, match=r"same protocol, got another protocol\.data\.checksum"):
        check_source(store, other)
    old = Store(tmp_path / "old")
    old.begin(on_images())  # as before studies were pinned
    assert admitted(old, on_images(), address=None) == on_images()
    with pytest.raises(StudyError, match=r"same protocol, got another protocol\.data\.checksum"):
        check_source(old, other)


SMALL, LARGE = {"CPU": 4.0}, {"CPU": 4.0, "GPU": 1.0}


@pytest.mark.parametrize(
    ("nodes", "types", "said"),
    [
        ([SMALL, LARGE], None, ""),
        ([SMALL], [SMALL, LARGE], "waiting for a node that a trial"),
        ([SMALL], [{}], "waiting for a node that a trial"),
        ([SMALL], [SMALL, {}], "waiting for a node that a trial"),
    ],
)
def test_devices_that_are_there_or_may_come_are_enough(
    nodes: list[Any], types: list[Any] | None, said: str
) -> None:
    study = replace(cheap(), resources=Resources(cpus=2, gpus=1))
    assert check_devices(study, nodes, types).startswith(said)
    assert bool(check_devices(study, nodes, types)) == bool(said)


@pytest.mark.parametrize("types", [None, [SMALL]])
def test_devices_that_no_node_will_ever_have_are_refused_with_what_there_is(
    types: list[Any] | None,
) -> None:
    study = replace(cheap(), resources=Resources(gpus=2))
    message = "must fit one node, got cpus=1 gpus=2; there are nodes of 4 CPUs 1 GPUs"
    with pytest.raises(StudyError, match=message):
        check_devices(study, [LARGE], types)


def test_what_an_autoscaler_may_start_is_read_from_the_file_it_was_started_with(
    tmp_path: Path,
) -> None:
    file = tmp_path / "bootstrap.yaml"
    assert node_types(file) is None
    file.write_text(
        "available_node_types:\n  head: {resources: {CPU: 0}}\n"
        "  gpu: {resources: {CPU: 4, GPU: 1}, max_workers: 8}\n"
        "  never: {resources: {CPU: 64}, max_workers: 0}\n  unknown: {}\n"
    )
    assert node_types(file) == [{"CPU": 0}, {"CPU": 4, "GPU": 1}, {}]
    file.write_text("- nothing\n")
    assert node_types(file) == [{}]
