"""What a study will take: counted from paces that are given, and weighed against what it took."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import stac
from search.drive import forecast as module
from search.drive.forecast import (
    PICKS,
    Forecast,
    forecast,
    images_of,
    num_finalists,
    row_bytes,
    share_for,
    training_s,
)
from search.drive.pace import STEPS, Pace, made_up, pace
from search.errors import StudyError
from search.study.networks import networks
from search.study.studies import load_study, override
from search.study.study import Resources, Study
from stacnet.data_spec import Prepared
from stacnet.spec import NetworkSpec, resnet

pytestmark = pytest.mark.slow  # trains
ONE = Pace(
    network_id="0" * 16,
    params=1000,
    macs=10_000,
    batch=4,
    train_image_s=0.002,
    eval_image_s=0.001,
    computed_bytes=5000,
    measured_bytes=None,
    weights_bytes=4000,
    checkpoint_bytes=8000,
)


def digits(**changes: str) -> Study:
    """The named study, with changes."""
    return override(load_study("digits"), changes)


def test_images_are_those_of_the_data_or_of_the_official_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STACNET_DATA", str(tmp_path))
    found = images_of(digits())
    assert (found.train, found.val, found.test) == (1151, 287, 359)
    official = images_of(load_study("imagenet64-resnet18"))
    assert official.train + official.val == 1_281_167
    assert official.val == pytest.approx(50_000, rel=0.03)
    study = load_study("cifar100-resnet20")
    other = replace(study, protocol=replace(study.protocol, data=Prepared(name="photos")))
    with pytest.raises(
        StudyError, match=r"need the number of images, got none: .*stac data prepare"
    ):
        images_of(other)


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paces that are given: each network takes as long as `ONE`; the networks that were timed."""
    timed = []

    def instead(spec: NetworkSpec, study: Study, *, budget_s: float) -> Pace:
        timed.append(spec.network_id)
        assert budget_s == 10.0
        return ONE

    monkeypatch.setattr(module, "pace", instead)
    return timed


def told(study: Study, **more: int) -> Forecast:
    """Its forecast."""
    return forecast(study, networks(study.space), budget_s=30.0, **more)


def test_hours_are_trainings_times_epochs_times_images(given: list[str]) -> None:
    study = digits(**{"seeds": "[0, 1]", "protocol.epochs": "10"})
    images = images_of(study)
    one_s = 10 * (1151 // 64 * 64 * 0.002 + (287 + 359) * 0.001)
    assert training_s(ONE, study, images) == pytest.approx(one_s)
    found = told(study, slots=4)
    finalists = 5 * (10 + 3 + 8 + PICKS)
    assert (found.trainings, found.finalists) == (54, finalists)
    assert found.device_hours == pytest.approx((54 + finalists) * one_s / 3600)
    assert found.hours == pytest.approx((-(-54 // 4) + -(-finalists // 4)) * one_s / 3600)
    assert found.storage.weights == (2 + finalists) * 4000
    assert found.storage.checkpoints == 4 * 2 * 8000
    assert num_finalists(replace(study, finalists=replace(study.finalists, top=0))) == 105


def test_vanilla_the_median_and_the_dearest_network_are_timed(given: list[str]) -> None:
    study = digits()
    told(study)
    among = networks(study.space)
    macs = dict(zip(among.network_ids, among.macs_N.tolist(), strict=True))
    assert given[0] == study.space.base.network_id
    assert [macs[name] for name in given] == [
        min(macs.values()),
        sorted(macs.values())[13],
        max(macs.values()),
    ]


def test_a_study_that_wants_a_gpu_is_timed_on_one_core_where_there_is_none(
    given: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    found = told(replace(digits(), resources=Resources(cpus=4, gpus=0.5)))
    machine = found.machine
    assert (machine.unit, machine.devices, machine.is_wanted) == ("core", 1, False)
    assert told(digits()).machine.is_wanted


def test_what_a_training_leaves_is_as_large_as_foretold(tmp_path: Path) -> None:
    study = digits(**{"space.scales": '[["off"], ["off"], ["off"]]', "protocol.epochs": "30"})
    stac.search(study, tmp_path, in_process=True, progress=False)
    files = [file for name in ("cells", "epochs") for file in (tmp_path / name).iterdir()]
    real = sum(file.stat().st_size for file in files)
    assert row_bytes(study, study.space.base, images_of(study)) == pytest.approx(real, rel=0.15)
    (weights,) = (tmp_path / "weights").iterdir()
    found = pace(study.space.base, study, budget_s=0.1)
    assert found.weights_bytes == pytest.approx(weights.stat().st_size, rel=0.02)


def test_a_larger_network_has_a_slower_pace_and_fewer_images_a_step_in_the_same_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(time, "perf_counter", time.process_time)  # whatever else runs here
    study = digits()
    small = pace(study.space.base, study, budget_s=0.4)
    large = pace(resnet(20, width=32, input_size=32, classes=10), study, budget_s=0.4)
    assert large.train_image_s > 4 * small.train_image_s
    assert large.train_image_s > large.eval_image_s > 0
    assert 2 <= large.batch < small.batch <= study.protocol.batch_size
    assert large.measured_bytes is None
    assert large.computed_bytes > small.computed_bytes


def test_made_up_images_fit_the_network_and_are_seen_more_than_once() -> None:
    splits = made_up(resnet(8, width=4, input_size=16, classes=7), num=5, steps=STEPS)
    assert (len(splits.train), len(splits.val), splits.classes) == (5 * STEPS, 5, 7)
    assert splits.train.shape == (3, 16, 16)
    assert splits.train.labels_N.max() < 7


@pytest.mark.parametrize(
    ("peak", "gpu", "share"),
    [
        (None, 24 * 2**30, None),
        (2**30, 0, None),
        (2**30, 24 * 2**30, 0.0769),  # 1.25 GiB and a context of 0.59 GiB: 13 of them
        (10 * 2**30, 24 * 2**30, 1.0),
        (20 * 2**30, 24 * 2**30, None),
        (2**20, 80 * 2**30, 0.0625),
    ],
)
def test_a_share_of_a_gpu_holds_what_a_training_was_seen_to_take(
    peak: int | None, gpu: int, share: float | None
) -> None:
    assert share_for(peak, gpu) == share
    if share:
        assert replace(Resources(), gpus=share).gpus == share
