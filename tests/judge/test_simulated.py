"""A few of the simulated studies of docs/statistics.md: what gets a word, and what is covered."""

import runpy
from collections import Counter
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # takes seconds

MADE = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "judging.py"))
DRAWS = 12


def tallied(name: str) -> dict[str, float]:
    return MADE["tallied"](MADE["CASES"][name], size=27, draws=DRAWS)


@pytest.mark.parametrize("name", ["useless maps, graded truth", "one-stage maps, plateau"])
def test_useless_predictors_get_no_word_and_regrets_are_covered(name):
    found = tallied(name)
    assert found["other words"] == 0
    assert found["word"] <= 2 / DRAWS
    assert found["covered"] >= 0.9


def test_perfect_and_inverted_maps_are_recognised_in_most_studies():
    words: Counter[str] = Counter()
    for name in ("perfect map", "inverted map"):
        for seed in range(DRAWS // 2):
            found, _, _ = MADE["simulate"](MADE["CASES"][name], size=27, seed=seed)
            words[f"{name}: {found.primary.verdict.ranking}"] += 1
    assert words["perfect map: predicts"] >= DRAWS // 2 - 2
    assert words["inverted map: misleads"] >= DRAWS // 2 - 2


def test_a_network_that_diverges_is_never_the_best():
    assert tallied("a fifth diverges")["sick best"] == 0
