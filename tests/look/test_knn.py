"""Estimators against scikit-learn; sketches, bags, class responses and what they keep."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge as SklearnRidge
from sklearn.neighbors import NearestCentroid, NearestNeighbors
from torch import nn

from analysis.look.knn import Knn, Ncm, Ridge
from analysis.look.responses import Bag, Sketch, permute_cells
from analysis.look.similarity import class_matrix, class_responses, neighbour_scores, retention


@pytest.fixture
def clouds() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """120 gallery and 60 query points of 5 overlapping classes in 12 dimensions, and labels."""
    generator = torch.Generator().manual_seed(0)
    labels_N = torch.arange(180) % 5
    means_KM = torch.randn((5, 12), generator=generator)
    x_NM = means_KM[labels_N] + torch.randn((180, 12), generator=generator)
    return x_NM[:120], x_NM[120:], labels_N


def test_knn_finds_the_neighbours_that_scikit_learn_finds(clouds):
    gallery, queries, labels = clouds
    ours = Knn(k=7)
    ours.add(gallery[:50], labels[:50])
    ours.add(gallery[50:], labels[50:120])
    centre = gallery.mean(0)
    theirs = NearestNeighbors(n_neighbors=7, metric="cosine").fit((gallery - centre).numpy())
    expected = theirs.kneighbors((queries - centre).numpy(), return_distance=False)
    assert np.array_equal(ours.look(queries).numpy(), expected)


def test_blockwise_neighbours_equal_those_of_one_block(clouds, monkeypatch):
    gallery, queries, labels = clouds
    whole, blocks = Knn(k=5), Knn(k=5)
    whole.add(gallery, labels[:120])
    expected = whole.look(queries)
    monkeypatch.setattr("analysis.look.knn.BLOCK", 7)
    blocks.add(gallery, labels[:120])
    assert torch.equal(blocks.look(queries), expected)


def test_ncm_streams_to_the_classes_of_scikit_learns_nearest_centroid(clouds):
    gallery, queries, labels = clouds
    ours = Ncm(classes=5)
    for start in range(0, 120, 17):
        ours.add(gallery[start : start + 17], labels[start : min(start + 17, 120)])
    theirs = NearestCentroid().fit(gallery.numpy(), labels[:120].numpy())
    assert np.array_equal(ours.look(queries)[:, 0].numpy(), theirs.predict(queries.numpy()))


def test_the_linear_probe_is_scikit_learns_ridge_regression_on_one_hot_classes(clouds):
    gallery, queries, labels = clouds
    ours = Ridge(classes=5)
    ours.add(gallery[:70], labels[:70])
    ours.add(gallery[70:], labels[70:120])
    padded = torch.cat([gallery, torch.ones(120, 1)], 1).double()
    penalty = float((padded.T @ padded).diagonal().mean()) * ours.penalty
    one_hot = nn.functional.one_hot(labels[:120], 5).double().numpy()
    theirs = SklearnRidge(alpha=penalty).fit(gallery.double().numpy(), one_hot)
    expected = theirs.predict(queries.double().numpy()).argmax(1)
    assert np.array_equal(ours.look(queries)[:, 0].numpy(), expected)


def test_a_gallery_of_no_more_than_k_images_is_refused(clouds):
    knn = Knn(k=10)
    knn.add(clouds[0][:10], clouds[2][:10])
    with pytest.raises(ValueError, match="gallery must hold more than k images, got 10 k=10"):
        knn.look(clouds[1])


def test_neighbours_are_invariant_to_rotation_scale_and_shift_of_the_features(clouds):
    gallery, queries, labels = (part.double() for part in clouds)
    rotation, _ = torch.linalg.qr(torch.randn(12, 12, dtype=torch.float64))
    before, after = Knn(k=5), Knn(k=5)
    before.add(gallery, labels[:120])
    after.add(3.7 * gallery @ rotation + 2.0, labels[:120])
    assert torch.equal(before.look(queries), after.look(3.7 * queries @ rotation + 2.0))


def test_the_sketch_keeps_cosines_on_average_and_short_features_exactly():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn((2, 4096), generator=generator)
    x[1] += x[0]
    cosine = nn.functional.cosine_similarity(x[:1], x[1:])
    found = []
    for seed in range(30):
        signs = torch.Generator().manual_seed(seed)
        sketch = Sketch(4096, dims=256, generator=signs, directions=0)
        short = sketch(x)
        assert short.shape == (2, 256)
        found.append(float(nn.functional.cosine_similarity(short[:1], short[1:])))
    assert np.mean(found) == pytest.approx(float(cosine), abs=0.02)
    assert Sketch(200, dims=256, generator=generator)(x[:, :200]).equal(x[:, :200])


def test_the_strongest_directions_of_the_first_batch_are_kept_exactly():
    generator = torch.Generator().manual_seed(0)
    strong_BR = torch.randn((40, 3), generator=generator)
    weak_BD = 0.05 * torch.randn((40, 4000), generator=generator)
    x_BD = 2.0 + 30 * strong_BR @ torch.randn((3, 4000), generator=generator) + weak_BD
    exact = (x_BD - x_BD.mean(0)) @ (x_BD - x_BD.mean(0)).T
    off = []
    for directions in (0, 4):
        sketch = Sketch(4000, dims=128, generator=generator, directions=directions)
        short = torch.cat([sketch(x_BD[:20]), sketch(x_BD[20:])])
        assert short.shape == (40, 128 + directions)
        centred = short - short.mean(0)
        off.append(float((centred @ centred.T - exact).abs().max() / exact.abs().max()))
    assert off[0] > 0.02
    assert off[1] < 0.0005


def test_a_batch_with_fewer_images_than_directions_is_sketched_all_the_same():
    x_BD = torch.randn((3, 1000), generator=torch.Generator().manual_seed(0))
    sketch = Sketch(1000, dims=64, generator=torch.Generator().manual_seed(0), directions=16)
    assert sketch(x_BD).shape == (3, 80)
    assert sketch(x_BD).isfinite().all()


def test_a_bag_does_not_see_where_cells_are_and_a_permuted_layout_keeps_each_cell_whole():
    generator = torch.Generator().manual_seed(0)
    x_BCS = torch.randn((3, 5, 16), generator=generator)
    permuted = permute_cells(x_BCS, generator=generator)
    bag = Bag(5, dims=64, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(bag(x_BCS), bag(permuted), atol=1e-6)
    for image, other in zip(x_BCS, permuted, strict=True):
        assert not torch.equal(image, other)
        assert {tuple(c.tolist()) for c in image.T} == {tuple(c.tolist()) for c in other.T}


def test_scores_are_zero_at_chance_one_at_the_ceiling_also_for_small_classes():
    gallery = np.array([0] * 3 + [1] * 9)
    perfect = np.array([[0, 1, 2, 3, 4], [3, 4, 5, 6, 7]])
    assert neighbour_scores(perfect, gallery, np.array([0, 1])) == pytest.approx([1.0, 1.0])
    rng = np.random.default_rng(0)
    random = np.array([rng.choice(12, 5, replace=False) for _ in range(20_000)])
    labels = np.arange(20_000) % 2
    scores = neighbour_scores(random, gallery, labels)
    assert scores[labels == 0].mean() == pytest.approx(0, abs=0.01)
    assert scores[labels == 1].mean() == pytest.approx(0, abs=0.03)


def test_responses_and_class_matrix_are_shares():
    rng = np.random.default_rng(0)
    gallery, queries = rng.integers(0, 4, 50), np.arange(40) % 4
    answers = np.array([rng.choice(50, 6, replace=False) for _ in range(40)])
    responses = class_responses(answers, gallery, classes=4)
    assert responses[0, 2] == (gallery[answers[0]] == 2).mean()
    assert responses.sum(1) == pytest.approx(1)
    matrix = class_matrix(responses, queries)
    assert matrix[1] == pytest.approx(responses[queries == 1].mean(0))


def test_a_read_out_retains_all_of_itself_and_little_of_an_unrelated_one():
    rng = np.random.default_rng(0)
    gallery, queries = np.arange(200) % 4, np.arange(80) % 4
    one, other = (
        np.array([rng.choice(200, 10, replace=False) for _ in range(80)]) for _ in range(2)
    )
    assert retention(one, one, gallery, queries, classes=4) == pytest.approx((1, 1, 1))
    assert retention(one, other, gallery, queries, classes=4).jaccard < 0.1


@pytest.mark.parametrize("dimension", [1, 4, 9])
def test_the_intrinsic_dimension_is_that_of_a_sphere_in_many_features(dimension):
    generator = torch.Generator().manual_seed(0)
    inside = torch.randn(2000, dimension + 1, generator=generator)
    x_NM = inside @ torch.linalg.qr(torch.randn(60, dimension + 1, generator=generator))[0].T
    knn = Knn(k=10)
    knn.add(x_NM[:1000], torch.zeros(1000))
    assert np.isnan(knn.dimension())
    knn.look(x_NM[1000:])
    assert knn.dimension() == pytest.approx(dimension, rel=0.1)


def test_images_seen_twice_leave_the_dimension_as_it_is():
    x_NM = torch.randn(500, 3, generator=torch.Generator().manual_seed(0))
    knn = Knn(k=5)
    knn.add(x_NM, torch.zeros(500))
    knn.look(x_NM[:100])  # each is its own neighbour
    assert np.isnan(knn.dimension())
