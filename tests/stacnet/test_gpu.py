"""On a GPU: recorded steps learn what eager ones do, resume, and give way where they must."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from analysis.look.classrepsim import Key, ProbeSet, look
from search.drive.pace import pace
from search.study.studies import load_study
from search.study.study import Resources
from stacnet import learner
from stacnet.attention_spec import AttentionSpec
from stacnet.data import feed
from stacnet.data.augment import Scaling
from stacnet.data.images import load
from stacnet.data_spec import ScaleSignal
from stacnet.network import build, taps
from stacnet.protocol import Protocol
from stacnet.spec import resnet
from stacnet.train import Trainer

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

DATA = ScaleSignal(grid=2, size=16, train=640, val=200, test=40)
SPEC = resnet(8, width=8, input_size=16, classes=8, attention=AttentionSpec(scale=2, reduction=2))
RECIPE = Protocol(data=DATA, epochs=4, batch_size=32, flip=True, crop_padding=2)
"""Steps of an epoch: 20."""


def trained(protocol: Protocol = RECIPE, *, epochs: int = 4) -> Trainer:
    trainer = Trainer(SPEC, protocol, load(DATA), device="cuda")
    while len(trainer.results) < epochs:
        trainer.run()
    return trainer


def is_recorded(trainer: Trainer) -> bool:
    return trainer._learner._recorded is not None


def losses(trainer: Trainer) -> list[float]:
    return [result.train_loss for result in trainer.results]


EXTRAS = [
    {},
    {"precision": "bf16"},
    {"mixup": 0.2, "cutmix": 0.5, "erasing": 0.3, "label_smoothing": 0.1},
    {"ema": 0.9, "clip_norm": 1.0},
    {"momentum": 0.0},
]


@pytest.mark.parametrize("extra", EXTRAS, ids=str)
def test_recorded_steps_learn_what_eager_ones_do(
    extra: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = replace(RECIPE, **extra)
    recorded = trained(recipe)
    assert is_recorded(recorded)
    monkeypatch.setattr(learner, "EAGER_STEPS", 10**9)
    eager = trained(recipe)
    assert not is_recorded(eager)
    assert losses(recorded) == pytest.approx(losses(eager), rel=0.02)
    assert losses(recorded)[-1] < losses(recorded)[0]


def test_a_run_resumed_from_its_checkpoint_ends_as_the_unbroken_one() -> None:
    unbroken, broken = trained(), trained(epochs=2)
    again = Trainer(SPEC, RECIPE, load(DATA), device="cuda")
    again.load_state_dict(broken.state_dict())
    while not again.done:
        again.run()
    assert is_recorded(again)
    assert losses(again) == pytest.approx(losses(unbroken), rel=0.02)


def test_a_checkpoint_of_the_gpu_goes_on_on_the_processor() -> None:
    there = trained(epochs=2)
    here = Trainer(SPEC, RECIPE, load(DATA), device="cpu")
    here.load_state_dict(there.state_dict())
    while not here.done:
        here.run()
    assert losses(here) == pytest.approx(losses(trained()), rel=0.05)


class Waits(nn.Module):
    """A module that asks the device for a number, as no recorded step can."""

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        return x_BCHW * (1.0 if x_BCHW.sum().item() < 1e30 else 0.0)


def test_a_step_that_waits_for_the_device_stays_eager_and_learns_the_same() -> None:
    trainer = Trainer(SPEC, RECIPE, load(DATA), device="cuda")
    trainer.model.register_forward_hook(lambda _, __, y_BK: Waits()(y_BK))
    while not trainer.done:
        trainer.run()
    assert not is_recorded(trainer)
    assert losses(trainer) == pytest.approx(losses(trained()), rel=0.02)


def test_images_that_do_not_fit_the_device_come_in_pinned_batches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there = losses(trained())
    monkeypatch.setattr(feed, "DEVICE_SHARE", 0.0)
    assert losses(trained()) == pytest.approx(there, rel=0.02)


def test_a_map_read_on_the_gpu_is_that_of_the_processor() -> None:
    splits = load(replace(DATA, val=400))
    network = build(SPEC)

    def found(device: str) -> dict[Key, NDArray[np.int64]]:
        scaling = Scaling(splits.mean_C, splits.std_C, device=torch.device(device))

        def batches() -> Iterator[torch.Tensor]:
            for start in range(0, 400, 100):
                part = splits.val.take(slice(start, start + 100))
                yield scaling.normalise(torch.from_numpy(part).to(device))

        labels_N = splits.val.labels_N
        probes = ProbeSet(batches=batches, labels_N=labels_N, num_gallery=200, classes=8)
        names = [name for stage in taps(SPEC) for name in stage]
        return look(network.to(device), probes, taps=names, scales=(1, 2, 4)).found

    here, there = found("cpu"), found("cuda")
    assert here.keys() == there.keys()
    for key, answers in here.items():
        assert np.mean(np.sort(answers, 1) == np.sort(there[key], 1)) > 0.95, key


def test_the_pace_of_a_study_that_wants_a_gpu_is_taken_there() -> None:
    study = replace(load_study("digits"), resources=Resources(gpus=0.25))
    found = pace(study.space.base, study, budget_s=2.0)
    assert found.batch == study.protocol.batch_size
    assert found.measured_bytes
    libraries = 256 * 2**20  # their own buffers, at most
    assert found.computed_bytes < found.measured_bytes < 5 * found.computed_bytes + libraries
