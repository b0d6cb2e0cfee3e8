"""A fixed list against data sets that rank alike, and against those that do not."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from planted import graded_accuracy, picks_json, planted_store, small_study

from analysis.judge.across import Across, across
from analysis.judge.compare import compare
from search.study.networks import Networks, networks


def found(tmp_path: Path, *truths) -> Across:
    """`across` of a study for each truth."""
    given = []
    for number, truth in enumerate(truths):
        study = replace(small_study(), name=f"study-{number}")
        store = planted_store(str(tmp_path / study.name), study, truth=truth)
        text = picks_json(study, networks(study.space), primary=np.arange(36.0))
        store.storage.write("picks.json", text.encode())
        given.append((study, compare(store)))
    return across(given)


def reversed_accuracy(among: Networks) -> np.ndarray:
    return 1.2 - graded_accuracy(among)


def test_where_data_sets_rank_alike_a_fixed_list_finds_the_best(tmp_path):
    same = found(tmp_path, graded_accuracy, graded_accuracy)
    assert same.agreement > 0.8
    for one in same.static:
        assert one.placements == 36
        assert one.regret < 0.02
        assert one.tau > 0.8
        assert one.scales == (4, 4, 4)
    assert [one.study for one in same.static] == ["study-0", "study-1"]


def test_where_they_do_not_it_is_misled(tmp_path):
    other = found(tmp_path, graded_accuracy, reversed_accuracy)
    assert other.agreement < -0.8
    assert all(one.tau < -0.8 and one.regret > 0.3 for one in other.static)


def test_one_data_set_has_no_other(tmp_path):
    alone = found(tmp_path, graded_accuracy)
    assert np.isnan(alone.agreement)
    assert alone.static == ()


@pytest.mark.parametrize("cut", [("off", 4), ("off", 1)])
def test_a_smaller_space_is_ranked_by_what_it_shares(tmp_path, cut):
    large = small_study()
    small = replace(large, name="small", space=replace(large.space, scales=(cut,) * 3))
    given = []
    for study in (large, small):
        store = planted_store(str(tmp_path / study.name), study, truth=graded_accuracy)
        among = networks(study.space)
        text = picks_json(study, among, primary=np.arange(float(len(among))))
        store.storage.write("picks.json", text.encode())
        given.append((study, compare(store)))
    both = across(given)
    assert [one.placements for one in both.static] == [8, 8]
    assert both.static[1].scales == (cut[1],) * 3
