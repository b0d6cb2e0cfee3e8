"""Training: what is learned, what each field of the recipe does, and what is refused."""

import time
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import nn

from stacnet import recipe
from stacnet.attention_spec import AttentionSpec
from stacnet.data.augment import Batch
from stacnet.data.images import load
from stacnet.data.scalesignal import scale_blind_ceiling
from stacnet.data_spec import Digits, ScaleSignal
from stacnet.network import build
from stacnet.protocol import Protocol
from stacnet.spec import resnet
from stacnet.train import Diverged, Trainer

pytestmark = pytest.mark.slow  # takes seconds

DATA = ScaleSignal(grid=2, size=16, train=96, val=40, test=40)
SPEC = resnet(8, width=4, input_size=16, classes=8)
RECIPE = Protocol(data=DATA, epochs=2, batch_size=32)

GRIDS = [2, 4, pytest.param(8, marks=pytest.mark.long)]


def results(protocol=RECIPE, *, spec=SPEC, seed=0):
    trainer = Trainer(spec, protocol, load(protocol.data), seed=seed)
    while not trainer.done:
        trainer.run()
    return trainer.results


def facts(epochs):
    return [replace(epoch, train_s=0, eval_s=0, cum_s=0) for epoch in epochs]


def layouts(grid):
    return ScaleSignal(grid=grid, size=8 * grid, gap=1, noise=0.1, train=1024, val=512, test=512)


def layout_accuracy(grid, *, kernels, scale):
    """Validation accuracy on layouts of a network with STAC at `scale` in two stages."""
    attention = None if scale is None else AttentionSpec(scale=scale, reduction=1)
    spec = resnet(
        8,
        width=8,
        kernels=kernels,
        input_size=8 * grid,
        classes=8,
        attention=(attention, attention, None),
    )
    recipe = Protocol(data=layouts(grid), epochs=5, batch_size=16, lr=0.05)
    return results(recipe, spec=spec)[-1].val_acc


@pytest.mark.parametrize("grid", GRIDS)
def test_a_patch_limited_network_stays_at_the_scale_blind_ceiling(grid):
    accuracy = layout_accuracy(grid, kernels=(1, 1, 1), scale=None)
    assert accuracy <= scale_blind_ceiling(layouts(grid)) + 0.05


@pytest.mark.parametrize("grid", GRIDS)
def test_attention_below_the_grid_stays_at_the_scale_blind_ceiling(grid):
    accuracy = layout_accuracy(grid, kernels=(1, 1, 1), scale=grid // 2)
    assert accuracy <= scale_blind_ceiling(layouts(grid)) + 0.05


@pytest.mark.parametrize(
    ("grid", "least"), [(2, 0.9), (4, 0.9), pytest.param(8, 0.7, marks=pytest.mark.long)]
)
def test_attention_at_the_grid_and_above_sees_what_a_patch_limited_network_cannot(grid, least):
    for scale in (grid, 2 * grid):
        assert layout_accuracy(grid, kernels=(1, 1, 1), scale=scale) > least


def test_a_network_with_a_large_receptive_field_needs_no_attention():
    assert layout_accuracy(2, kernels=(3, 3, 3), scale=None) > 0.9


def test_digits_are_learned():
    protocol = Protocol(data=Digits(), epochs=2, batch_size=64, lr=0.1)
    spec = resnet(8, width=8, input_size=8, classes=10)
    assert results(protocol, spec=spec)[-1].val_acc > 0.85


def test_equal_seeds_give_equal_runs_and_other_seeds_others():
    assert facts(results()) == facts(results())
    assert facts(results()) != facts(results(seed=1))


def test_a_run_reads_and_changes_no_global_generator():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = facts(results())
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    assert facts(results()) == first


def test_epochs_are_numbered_from_one_and_seconds_add_up():
    epochs = results()
    assert [epoch.epoch for epoch in epochs] == [1, 2]
    assert epochs[1].cum_s == pytest.approx(sum(e.train_s + e.eval_s for e in epochs))
    assert not any(epoch.resumed for epoch in epochs)


@pytest.mark.parametrize(
    "change",
    [
        {"batch_size": 16},
        {"lr": 0.05},
        {"schedule": "step"},
        {"warmup_epochs": 0.0},
        {"momentum": 0.5},
        {"weight_decay": 0.1},
        {"label_smoothing": 0.1},
        {"flip": True},
        {"crop_padding": 2},
        {"erasing": 0.5},
        {"mixup": 0.5},
        {"cutmix": 0.5},
        {"ema": 0.9},
        {"clip_norm": 0.1},
        {"epochs": 3},
    ],
)
def test_no_field_of_the_recipe_is_inert(change):
    assert facts(results(replace(RECIPE, **change)))[:2] != facts(results())


def test_bf16_changes_the_numbers_where_the_device_has_it():
    changed = facts(results(replace(RECIPE, precision="bf16"))) != facts(results())
    assert changed == recipe.has_bf16(torch.device("cpu"))


def test_the_averaged_weights_are_what_is_evaluated():
    trainer = Trainer(SPEC, replace(RECIPE, ema=0.5), load(DATA))
    trainer.run()
    averaged, trained = trainer.evaluated_model.parameters(), trainer.model.parameters()
    assert not any(torch.equal(*pair) for pair in zip(averaged, trained, strict=True))


def test_a_run_that_diverges_stops_early():
    with pytest.raises(Diverged, match="training loss must stay finite, got nan"):
        results(replace(RECIPE, lr=1e20, warmup_epochs=0.0, epochs=50))


def test_a_narrow_network_trains_on_large_images():
    data = replace(DATA, size=64, train=8, val=8, test=8)  # channels_last would crash the process
    protocol = Protocol(data=data, epochs=1, batch_size=8)
    spec = resnet(8, width=8, kernels=(1, 1, 1), input_size=64, classes=8)
    assert results(protocol, spec=spec)[0].val_loss > 0


@pytest.mark.parametrize(("width", "is_plain"), [(4, True), (7, True), (8, False)])
def test_a_network_of_fewer_than_8_channels_keeps_the_plain_layout_on_any_image(width, is_plain):
    spec = resnet(8, width=width, input_size=16, classes=8)  # channels_last would corrupt the heap
    weight = next(Trainer(spec, RECIPE, load(DATA)).evaluated_model.parameters())
    assert weight.is_contiguous() == is_plain


def test_a_slice_ends_soon_after_its_budget():
    trainer = Trainer(SPEC, replace(RECIPE, epochs=100), load(DATA))
    trainer.run()
    start = time.perf_counter()
    assert trainer.run(budget_s=0) is None
    assert time.perf_counter() - start < 5


def test_a_finished_run_does_not_go_on():
    trainer = Trainer(SPEC, replace(RECIPE, epochs=1), load(DATA))
    trainer.run()
    with pytest.raises(ValueError, match="a finished run cannot go on, got 1 epochs"):
        trainer.run()


@pytest.mark.parametrize("change", [{"classes": 9}, {"input_size": 32}, {"in_channels": 1}])
def test_a_network_for_other_data_is_refused(change):
    with pytest.raises(ValueError, match="network must have the data's classes"):
        Trainer(replace(SPEC, **change), RECIPE, load(DATA))


def test_a_batch_larger_than_the_training_set_is_refused():
    with pytest.raises(ValueError, match="batch_size must not exceed the training images, got 97"):
        Trainer(SPEC, replace(RECIPE, batch_size=97), load(DATA))


def test_cosine_rises_linearly_then_falls_to_zero():
    rates = [recipe.learning_rate(RECIPE, step=step, steps_per_epoch=100) for step in range(200)]
    assert rates[:100] == pytest.approx([0.001 * (step + 1) for step in range(100)])
    assert all(late < early for early, late in pairwise(rates[100:]))
    assert rates[150] == pytest.approx(0.05)
    assert rates[-1] < 0.0001


def test_steps_multiply_by_a_fifth_every_quarter():
    protocol = replace(RECIPE, schedule="step", warmup_epochs=0.0, epochs=4)
    rates = [recipe.learning_rate(protocol, step=step, steps_per_epoch=10) for step in range(40)]
    assert rates == pytest.approx([0.1] * 10 + [0.02] * 10 + [0.004] * 10 + [0.0008] * 10)


def test_norms_biases_and_scalars_are_not_decayed():
    network = build(resnet(8, width=4, attention=AttentionSpec(scale=2, fuse="mul_res")))
    decayed, free = recipe.optimizer(network, RECIPE).param_groups
    assert (decayed["weight_decay"], free["weight_decay"]) == (5e-4, 0.0)
    weights = [m.weight for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert {id(p) for p in decayed["params"]} == {id(weight) for weight in weights}
    assert len(decayed["params"]) + len(free["params"]) == len(list(network.parameters()))


def test_the_loss_of_a_mixed_batch_lies_between_its_two_classes():
    logits = torch.tensor([[2.0, 0.0]])
    y, other = torch.tensor([0]), torch.tensor([1])

    def loss(share):
        batch = Batch(torch.empty(0), y, other, share)
        return float(recipe.loss(logits, batch, smoothing=0.0))

    assert loss(0.25) == pytest.approx(0.25 * loss(1.0) + 0.75 * loss(0.0))
