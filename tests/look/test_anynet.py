"""The map of networks that nobody here has built: places, controls, what is refused."""

import warnings

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torchvision.models import resnet18

import stac
from analysis.look.anynet import map_sides, probe_arrays, redrawn
from analysis.predict.mapfile import map_from_parquet, map_to_parquet

pytestmark = pytest.mark.slow  # takes seconds

TAKEN_ALWAYS = {"trained", "pixels", "permuted labels"}


def images_and_labels(*, images: int = 60, classes: int = 3) -> tuple[Tensor, Tensor]:
    """Noise whose class is a bright corner."""
    labels_N = torch.arange(images) % classes
    x_NCHW = torch.randn((images, 3, 16, 16), generator=torch.Generator().manual_seed(0))
    for label in range(classes):
        top, left = 8 * (label // 2), 8 * (label % 2)
        x_NCHW[labels_N == label, :, top : top + 8, left : left + 8] += 2
    return x_NCHW, labels_N


def small_network() -> nn.Sequential:
    """Two convolutions that cannot tell a place, with a pooling between them, and a head."""
    torch.manual_seed(0)
    first = nn.Conv2d(3, 8, 3, padding=1, padding_mode="circular")
    body = [first, nn.MaxPool2d(2), nn.Conv2d(8, 8, 3, padding=1)]
    return nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))


class WithToken(nn.Module):
    """A network with a parameter that no part can draw anew."""

    def __init__(self) -> None:
        super().__init__()
        self.body = small_network()
        self.token = nn.Parameter(torch.zeros(1))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Logits."""
        return self.body(x_BCHW) + self.token


def test_the_places_of_any_network_are_its_last_modules_of_each_map_size() -> None:
    x_NCHW, labels_N = images_and_labels()
    network = resnet18(num_classes=3)
    chart = stac.classrepsim(network, x_NCHW, labels_N, scales=(2,))
    assert [stage[0].place for stage in chart.stages()] == ["relu", "layer1", "layer2"]
    assert [[r.cells for r in stage] for stage in chart.stages()] == [[1, 2, 8], [1, 2, 4], [1, 2]]
    assert {r.source for r in chart.readings} == TAKEN_ALWAYS | {"untrained"}
    assert (chart.num_queries, chart.num_gallery, chart.classes) == (30, 30, 3)


def test_a_corner_is_seen_by_two_cells_and_not_by_one_and_the_map_is_drawn_and_kept() -> None:
    x_NCHW, labels_N = images_and_labels(images=120)
    chart = stac.classrepsim(small_network(), x_NCHW.numpy(), labels_N.numpy(), taps=["0"])
    (stage,) = chart.stages()
    found = {reading.cells: reading.crs for reading in stage}
    assert found[2] > 0.9 > 0.3 > found[1]
    assert isinstance(stac.plot_map(chart), Figure)
    assert stac.plot_map(chart)._repr_svg_().startswith("<?xml")  # type: ignore[attr-defined]
    again = map_from_parquet(map_to_parquet(chart), source="x")
    assert [r.place for r in again.readings] == [r.place for r in chart.readings]


def test_a_network_that_cannot_be_drawn_anew_goes_without_untrained_twin_and_says_so() -> None:
    x_NCHW, labels_N = images_and_labels()
    with pytest.warns(UserWarning, match="the map has no untrained control"):
        chart = stac.classrepsim(WithToken(), x_NCHW, labels_N, scales=(2,))
    assert {r.source for r in chart.readings} == TAKEN_ALWAYS
    assert isinstance(stac.plot_map(chart), Figure)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        twin = stac.classrepsim(WithToken(), x_NCHW, labels_N, scales=(2,), untrained=WithToken())
    assert {r.source for r in twin.readings} == TAKEN_ALWAYS | {"untrained"}


def test_a_redrawn_network_has_other_weights_and_leaves_the_generator_alone() -> None:
    network, state = small_network(), torch.random.get_rng_state()
    twins = [redrawn(network, seed=seed) for seed in (1, 1, 2)]
    assert torch.equal(torch.random.get_rng_state(), state)
    weights = [twin[0].weight for twin in (network, *twins)]  # type: ignore[index]
    assert torch.equal(weights[1], weights[2])
    assert not torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[1], weights[3])


def test_a_look_changes_neither_weights_nor_mode_nor_hooks() -> None:
    network = small_network().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    stac.classrepsim(network, *images_and_labels(), scales=(2,))
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not any(part._forward_hooks for part in network.modules())


def test_probe_images_go_to_the_precision_of_the_network_and_thin_classes_are_left_out() -> None:
    x_NCHW, labels_N = images_and_labels(images=31)
    labels_N = torch.where(torch.arange(31) == 30, 9, labels_N)
    probes = probe_arrays(x_NCHW, labels_N.numpy(), like=small_network().double())
    assert next(probes.batches()).dtype == torch.float64
    assert (probes.classes, probes.left_out, len(probes.labels_N)) == (3, 1, 30)


def test_maps_are_found_in_the_order_in_which_modules_finish() -> None:
    sides = map_sides(nn.Sequential(small_network()), torch.zeros(1, 3, 16, 16))
    assert list(sides.items()) == [("0.0", 16), ("0.1", 8), ("0.2", 8), ("0.3", 1)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"taps": ["nowhere"]}, r"tap must name a module .* got 'nowhere'; such are 0, 1, 2, 3"),
        ({"taps": ["5"]}, r"tap must name a module whose output has shape \(N, C, H, H\), got '5'"),
        ({"images": torch.zeros(60, 3, 16, 16, dtype=torch.uint8)}, "must be floating point"),
        ({"images": torch.zeros(60, 3, 16)}, r"must be floating point \(N, C, H, W\), .*got"),
        ({"labels": np.zeros(60)}, "labels must be a whole number for each of 60 images"),
        ({"labels": np.zeros(59, int)}, r"labels must be .* of 60 images, got int64 \(59,\)"),
        ({"images": torch.full((60, 3, 16, 16), torch.nan)}, "responses must be finite numbers"),
        ({"scales": (0,)}, "scales must be whole numbers from 1, got 0"),
        ({"scales": (1.5,)}, "scales must be whole numbers from 1, got 1.5"),
        ({"labels": np.zeros(60, int)}, "at least 2 classes must have 2 .*images, got 1 of 1"),
    ],
)
def test_what_cannot_be_mapped_is_refused(change: dict, message: str) -> None:
    x_NCHW, labels_N = images_and_labels()
    given = {"module": small_network(), "images": x_NCHW, "labels": labels_N}
    with pytest.raises(ValueError, match=message):
        stac.classrepsim(**(given | change))


def test_a_network_without_maps_needs_taps() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(768, 3))
    with pytest.raises(ValueError, match="taps must be named: no module's output is a map"):
        stac.classrepsim(network, *images_and_labels())
