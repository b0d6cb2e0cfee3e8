"""The frontier and its indicators against brute force, and their laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from analysis.judge.frontier import Reference, additive_epsilon, frontier, hypervolume, on_frontier

# Few distinct values, so that ties and duplicates are common.
VALUES = st.integers(0, 6).map(float)
CLOUDS = st.integers(1, 25).flatmap(lambda n: arrays(float, (2, n), elements=VALUES))
SETTINGS_SEED = st.integers(0, 1000)


def beaten(cost, accuracy, i) -> bool:
    return any(
        cost[j] <= cost[i]
        and accuracy[j] >= accuracy[i]
        and (cost[j] < cost[i] or accuracy[j] > accuracy[i])
        for j in range(len(cost))
    )


@given(CLOUDS)
def test_exactly_the_networks_that_no_other_beats_are_on_the_frontier(cloud):
    cost, accuracy = cloud
    expected = [not beaten(cost, accuracy, i) for i in range(len(cost))]
    assert on_frontier(cost, accuracy).tolist() == expected


def points(cost, accuracy) -> set[tuple[float, float]]:
    at = frontier(cost, accuracy)
    return set(zip(cost[at].tolist(), accuracy[at].tolist(), strict=True))


@given(CLOUDS, SETTINGS_SEED)
def test_the_frontier_ignores_row_order_and_duplicates(cloud, seed):
    cost, accuracy = cloud
    order = np.random.default_rng(seed).integers(0, len(cost), 2 * len(cost))
    order = np.concatenate([order, np.arange(len(cost))[::-1]])
    assert points(cost[order], accuracy[order]) == points(cost, accuracy)


@given(CLOUDS)
def test_hypervolume_is_the_area_counted_square_by_square(cloud):
    cost, accuracy = cloud
    reference = Reference(cost=5.0, accuracy=1.0)
    squares = sum(any((cost <= x) & (accuracy >= y + 1)) for x in range(5) for y in range(1, 6))
    assert hypervolume(cost, accuracy, reference) == pytest.approx(squares)


@given(CLOUDS, CLOUDS)
def test_epsilon_is_the_smallest_lift_that_makes_the_points_dominate(mine, true):
    cost, accuracy = mine
    front = frontier(*true)
    epsilon = additive_epsilon(
        cost, accuracy, true_cost_F=true[0][front], true_accuracy_F=true[1][front]
    )
    needed = max(
        min((y - a for c, a in zip(cost, accuracy, strict=True) if c <= x), default=np.inf)
        for x, y in zip(true[0][front], true[1][front], strict=True)
    )
    assert epsilon == needed


def test_the_frontier_itself_has_no_epsilon_and_all_of_the_hypervolume():
    rng = np.random.default_rng(0)
    cost, accuracy = rng.random(50), rng.random(50)
    at = frontier(cost, accuracy)
    reference = Reference(cost=1.0, accuracy=0.0)
    assert hypervolume(cost[at], accuracy[at], reference) == pytest.approx(
        hypervolume(cost, accuracy, reference)
    )
    assert (
        additive_epsilon(cost[at], accuracy[at], true_cost_F=cost[at], true_accuracy_F=accuracy[at])
        == 0
    )


def test_networks_without_a_result_are_never_on_the_frontier():
    cost, accuracy = np.array([1.0, 2.0, 3.0]), np.array([np.nan, 0.5, 0.4])
    assert on_frontier(cost, accuracy).tolist() == [False, True, False]
    assert frontier(cost, np.full(3, np.nan)).tolist() == []
