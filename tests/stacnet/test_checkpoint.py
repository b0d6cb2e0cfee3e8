"""Checkpoints: whole or refused; a run that goes on from one equals an unbroken run."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stacnet.attention_spec import AttentionSpec
from stacnet.checkpoint import CheckpointError, dumps, loads
from stacnet.data.images import load
from stacnet.data_spec import ScaleSignal
from stacnet.protocol import EpochResult, Protocol
from stacnet.spec import resnet
from stacnet.train import Trainer

pytestmark = pytest.mark.slow  # trains again and again
DATA = ScaleSignal(grid=2, size=16, train=70, val=700, test=20)
SPEC = resnet(8, width=4, input_size=16, classes=8, attention=AttentionSpec(scale=2, reduction=2))
PLAIN = Protocol(data=DATA, epochs=3, batch_size=16, lr=0.05)
FULL = replace(
    PLAIN, flip=True, crop_padding=2, erasing=0.3, mixup=0.2, cutmix=0.2, ema=0.9, clip_norm=1.0
)
STEPS = 4  # per epoch


def trainer(protocol: Protocol, *, seed: int = 1) -> Trainer:
    return Trainer(SPEC, protocol, load(DATA), seed=seed)


def finish(run: Trainer) -> Trainer:
    while not run.done:
        run.run()
    return run


def facts(result: EpochResult) -> EpochResult:
    """What must not depend on when a run was stopped."""
    return replace(result, train_s=0, eval_s=0, cum_s=0, resumed=False)


def assert_same(run: Trainer, other: Trainer) -> None:
    assert list(map(facts, run.results)) == list(map(facts, other.results))
    pairs = zip(run.state_dict()["model"].items(), other.state_dict()["model"].items(), strict=True)
    for (name, tensor), (_, expected) in pairs:
        assert torch.equal(tensor, expected), name
    (loss, correct_N), (other_loss, other_N) = run.evaluate("test"), other.evaluate("test")
    assert loss == other_loss
    assert np.array_equal(correct_N, other_N)


@pytest.fixture(scope="module", params=[PLAIN, FULL], ids=["plain", "every option"])
def unbroken(request):
    return request.param, finish(trainer(request.param))


@pytest.mark.parametrize("cut", [1, 3, STEPS, STEPS + 1, 2 * STEPS, 3 * STEPS - 1])
def test_a_resumed_run_equals_an_unbroken_one_bit_for_bit(unbroken, cut):
    protocol, whole = unbroken
    first = trainer(protocol)
    for _ in range(cut):
        first.run(budget_s=0)  # one step, or one batch of evaluation
    resumed = trainer(protocol)
    resumed.load_state_dict(loads(dumps(first.state_dict())))
    assert_same(finish(resumed), whole)


def test_a_run_cut_after_every_step_equals_an_unbroken_one(unbroken):
    protocol, whole = unbroken
    run = trainer(protocol)
    while not run.done:
        run.run(budget_s=0)
        state = loads(dumps(run.state_dict()))
        run = trainer(protocol)
        run.load_state_dict(state)
    assert_same(run, whole)


def test_a_run_in_slices_equals_an_unbroken_one(unbroken):
    protocol, whole = unbroken
    run, slices = trainer(protocol), 0
    while not run.done:
        run.run(budget_s=0)
        slices += 1
    assert slices >= 3 * STEPS
    assert_same(run, whole)


def test_evaluating_in_between_changes_nothing(unbroken):
    protocol, whole = unbroken
    run = trainer(protocol)
    while not run.done:
        run.run(budget_s=0)
        run.evaluate("test")
    assert_same(run, whole)


def test_resumed_epochs_say_so_and_seconds_are_carried_over():
    first = trainer(PLAIN)
    while first.run(budget_s=0) is None:
        pass
    first.run(budget_s=0)
    resumed = trainer(PLAIN)
    resumed.load_state_dict(loads(dumps(first.state_dict())))
    finish(resumed)
    assert [result.resumed for result in resumed.results] == [False, True, False]
    assert [result.epoch for result in resumed.results] == [1, 2, 3]
    seconds = 0.0
    for result in resumed.results:
        seconds += result.train_s + result.eval_s
        assert result.cum_s == pytest.approx(seconds)


def test_a_checkpoint_of_another_run_is_refused():
    state = trainer(PLAIN).state_dict()
    with pytest.raises(CheckpointError, match="checkpoint must be of network, recipe and seed"):
        trainer(PLAIN, seed=2).load_state_dict(state)
    with pytest.raises(CheckpointError, match="checkpoint must be of network, recipe and seed"):
        trainer(FULL).load_state_dict(state)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_any_changed_byte_and_any_truncation_is_refused(position, flip):
    data = bytearray(dumps({"w": torch.arange(4), "name": "x", "seconds": [1.0, None]}))
    position %= len(data)
    with pytest.raises(CheckpointError, match=r"torn or altered|must begin with"):
        loads(bytes(data[:position]))
    data[position] ^= flip
    with pytest.raises(CheckpointError, match=r"torn or altered|must begin with"):
        loads(bytes(data))


def test_what_was_written_comes_back():
    state = {"w": torch.arange(4), "nested": [{"a": 1.5, "b": None, "c": "text"}]}
    back = loads(dumps(state))
    assert torch.equal(back.pop("w"), state.pop("w"))
    assert back == state


class Payload:
    """Unpickles by printing."""

    def __reduce__(self):
        return print, ("executed",)


def test_a_checkpoint_with_code_is_refused_and_not_executed(capsys):
    with pytest.raises(CheckpointError, match="holds more than tensors and values"):
        loads(dumps({"x": Payload()}))
    assert capsys.readouterr().out == ""


def test_bytes_of_torch_save_alone_are_no_checkpoint():
    buffer = io.BytesIO()
    torch.save({}, buffer)
    with pytest.raises(CheckpointError, match="must begin with"):
        loads(buffer.getvalue())
