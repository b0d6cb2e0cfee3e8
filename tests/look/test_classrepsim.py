"""ClassRepSim: estimators against scikit-learn, laws of the map, ScaleSignal's planted truth."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models import resnet18

from analysis.look.classmap import ClassRepMap, Place
from analysis.look.classrepsim import ProbeSet, Settings, look
from analysis.look.controls import calibrated, map_with_controls
from analysis.look.probeset import probe_set
from analysis.predict.mapfile import map_from_parquet, map_to_parquet
from analysis.predict.predict import places
from analysis.predict.rules import Rule, stage_values
from stacnet.data.images import load
from stacnet.data_spec import ScaleSignal
from stacnet.network import build
from stacnet.protocol import Protocol
from stacnet.spec import resnet
from stacnet.train import Trainer

pytestmark = pytest.mark.slow  # trains
CPU = torch.device("cpu")


def images_of_classes(*, images: int = 120, classes: int = 4, seed: int = 0) -> ProbeSet:
    """Noise images with a class-dependent corner."""
    generator = torch.Generator().manual_seed(seed)
    labels_N = np.arange(images) % classes
    x_NCHW = torch.randn((images, 3, 16, 16), generator=generator)
    for label in range(classes):
        x_NCHW[labels_N == label, :, 8 * (label // 2) :, 8 * (label % 2) :] += 0.7

    def batches() -> Iterator[torch.Tensor]:
        yield from x_NCHW.split(50)

    return ProbeSet(batches=batches, labels_N=labels_N, num_gallery=images // 2, classes=classes)


@pytest.fixture(scope="module")
def small_map() -> ClassRepMap:
    """Map of an untrained convolution stack on images that a pooled map tells apart."""
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1))
    return map_with_controls(
        [(model, model)],
        images_of_classes(images=400),
        places=[Place("first", 0, ("1",)), Place("1", -1, ("1",))],
        last="2",
        scales=(1, 2, 4),
    )


def test_permuted_labels_sit_at_zero_within_their_error(small_map):
    for reading in small_map.select(source="permuted labels"):
        assert abs(reading.crs) < 4 * reading.crs_se + 1e-9


def test_layout_is_what_one_cell_cannot_have_and_corners_need_two_cells(small_map):
    stage = {r.cells: r for r in small_map.stages()[0]}
    assert stage[1].lay == 0
    assert stage[2].crs > 0.8
    assert stage[2].lay > 0.3
    assert stage[16].native
    assert stage[2].gain == pytest.approx(stage[2].crs - stage[1].crs)


def test_controls_and_other_estimators_are_always_beside_the_map(small_map):
    assert {(r.source, r.estimator) for r in small_map.readings} == {
        *((s, e) for s in ("trained", "untrained", "pixels") for e in ("knn", "ncm", "ridge")),
        ("permuted labels", "knn"),
    }
    assert [r.cells for r in small_map.stages(source="pixels")[0]] == [1, 2, 4, 16]


def test_a_map_survives_its_parquet_file_and_a_newer_one_is_refused(small_map):
    data = map_to_parquet(small_map)
    again = map_from_parquet(data, source="map.parquet")
    assert again.num_queries == 200
    assert len(again.readings) == len(small_map.readings)
    for one, other in zip(again.readings, small_map.readings, strict=True):
        np.testing.assert_equal(vars_of(one), vars_of(other))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("analysis.predict.mapfile.MAP_SCHEMA_VERSION", 0)
        with pytest.raises(ValueError, match="must be a map of schema version at most 0"):
            map_from_parquet(data, source="map.parquet")


def vars_of(reading) -> dict:
    return {name: getattr(reading, name) for name in reading.__dataclass_fields__}


def test_a_class_without_queries_is_refused():
    probes = images_of_classes()
    cut = ProbeSet(
        batches=probes.batches,
        labels_N=np.where(np.arange(120) >= 60, 0, probes.labels_N),
        num_gallery=60,
        classes=4,
    )
    with pytest.raises(ValueError, match="among the probe images' queries, got none of class 1"):
        map_with_controls(
            [(nn.Identity(), nn.Identity())],
            cut,
            places=[Place("x", 0, ("",))],
            last="",
            scales=(1,),
        )


def test_a_torchvision_resnet_gives_a_map_by_module_names():
    model = resnet18(weights=None, num_classes=4)
    found = look(
        model,
        images_of_classes(),
        taps=["layer1.0.bn2", "layer3.1"],
        scales=(1, 2),
        settings=Settings(readouts=(("full", "knn"),)),
    )
    assert found.native == {"layer1.0.bn2": 4, "layer3.1": 1}
    assert {key[:2] for key in found.found} == {
        ("layer1.0.bn2", 1),
        ("layer1.0.bn2", 2),
        ("layer1.0.bn2", 4),
        ("layer3.1", 1),
    }
    assert found.found["layer3.1", 1, "full", "knn"].shape == (60, 10)
    assert model.training


def test_an_unknown_tap_is_refused_by_name():
    with pytest.raises(ValueError, match="tap must name a module of the network"):
        look(nn.Sequential(nn.ReLU()), images_of_classes(), taps=["layer9"], scales=(1,))


def test_an_untrained_twin_with_silent_branches_is_made_to_speak():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    nn.init.zeros_(model[1].weight)
    spoken = calibrated(model, images_of_classes())
    x = next(images_of_classes().batches())
    assert not model(x).any()
    assert spoken(x).detach().std().item() == pytest.approx(1, abs=0.1)


def scale_signal_map(grid: int, *, kernels: tuple[int, ...]) -> ClassRepMap:
    """Map of a net trained on layouts of grid x grid cells, with its controls."""
    size = 8 * grid
    data = ScaleSignal(grid=grid, size=size, gap=1, noise=0.3, train=1024, val=1000, test=64)
    protocol = Protocol(data=data, epochs=6, batch_size=32, lr=0.1, warmup_epochs=1)
    splits = load(data)
    spec = resnet(8, width=16, kernels=kernels, input_size=size, classes=splits.classes)
    trainer = Trainer(spec, protocol, splits, seed=0, device=CPU, threads=1)
    while not trainer.done:
        trainer.run()
    return map_with_controls(
        [(trainer.evaluated_model, build(spec, seed=1))],
        probe_set(splits, images=1000, device=CPU),
        places=places(spec),
        last="stages",
        scales=tuple(sorted({1, 2, 4, grid, 2 * grid})),
    )


def picked(chart: ClassRepMap, rule: Rule) -> list[int]:
    """Scale of each stage under the rule; 0 is off."""
    stages = chart.stages()
    last = stages[0][0].crs - stages[0][0].head
    return [max(value, key=value.__getitem__) for value in stage_values(rule, stages, last=last)]


@pytest.mark.parametrize(
    "grid", [2, *(pytest.param(grid, marks=pytest.mark.long) for grid in (4, 8))]
)
def test_the_map_of_a_patch_limited_net_steps_at_the_grid_and_the_rules_pick_it(grid):
    chart = scale_signal_map(grid, kernels=(1, 1, 1))
    for stage in chart.stages():
        at = {reading.cells: reading for reading in stage}
        assert at[grid // 2].crs < 0.4
        assert at[grid].crs > 0.9
        assert at[grid].crs - at[grid].lay < 0.4  # the permuted layout does not step
    assert picked(chart, "R2") == picked(chart, "R2+R5") == [grid] * 3


def test_the_primary_rule_stays_off_where_nothing_is_to_gain():
    assert picked(scale_signal_map(2, kernels=(3, 3, 3)), "R2+R5") == [0, 0, 0]
