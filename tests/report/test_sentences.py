"""Sentences: numbers as people write them, and what is said of ranks."""

from dataclasses import replace

from planted import picks_json, planted_accuracy, planted_store, small_study

from analysis.judge.agreement import Interval
from analysis.judge.compare import compare
from analysis.report.sentences import points, ranking_sentence, seconds
from search.study.networks import networks


def test_numbers_are_written_for_people():
    assert points(Interval(-0.012, -0.02, 0.001, 3)) == (
        "\N{MINUS SIGN}1.2 points (95 % interval \N{MINUS SIGN}2.0 to 0.1, 3 seeds)"
    )
    assert (
        points(Interval(0.01, float("nan"), float("nan"), 1)) == "1.0 points (1 seed, no interval)"
    )
    assert seconds(3.21) == "3.2 s"
    assert seconds(36000) == "10.0 hours"


def test_ranks_are_said_to_be_told_apart_or_not_with_the_tau_that_is_needed(tmp_path):
    study = small_study(seeds=(0, 1, 2, 3))
    store, among = planted_store(str(tmp_path), study), networks(study.space)
    text = picks_json(study, among, primary=planted_accuracy(among))
    store.storage.write("picks.json", text.encode())
    primary = compare(store).primary
    text = ranking_sentence(replace(primary, tau_needed=0.6))
    assert "random maps alone reach 0.60" in text
    lost = replace(primary, tau=Interval(float("nan"), float("nan"), float("nan"), 0))
    assert "cannot be compared" in ranking_sentence(lost)
