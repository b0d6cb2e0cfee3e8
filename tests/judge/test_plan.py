"""What a study could show, said before it runs."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from planted import small_study

from analysis.judge.agreement import seeds_needed
from analysis.judge.plan import power_of, power_sentences, resolved_difference
from search.study.networks import networks
from search.study.study import Sampled
from stac.cli.main import main


def test_the_difference_that_seeds_resolve_is_the_one_that_needs_these_seeds():
    for seeds in (2, 4, 6, 20):
        delta = resolved_difference(seeds)
        assert seeds_needed(1.0, 1.001 * delta) == seeds
        assert seeds_needed(1.0, 0.99 * delta) == seeds + 1
    assert np.isnan(resolved_difference(1))


def test_a_plan_counts_seeds_and_names_the_tau_it_needs():
    study = small_study(seeds=(0, 1, 2, 3, 4, 5))
    power = power_of(study, networks(study.space))
    assert (power.networks, power.trainings, power.seeds_a, power.seeds_b) == (36, 216, 3, 3)
    assert 0.5 < power.tau < 0.7
    assert f"|tau| > {power.tau:.2f}" in power_sentences(power)[1]
    assert "told apart at 3.3 standard deviations" in power_sentences(power)[2]


def test_one_network_or_few_seeds_have_nothing_to_show():
    study = replace(small_study(seeds=(0,)), strategy=Sampled(trials=1))
    sentences = power_sentences(power_of(study, networks(study.space)))
    assert "there is nothing to rank" in sentences[1]
    assert "no verdict" in sentences[2]


def test_the_command_prints_sentences_or_numbers(capsys):
    for words in ((), ("--json",)):
        with pytest.raises(SystemExit) as stop:
            main(["plan", "digits", "--seconds", "0", *words])
        assert stop.value.code == 0
    *sentences, numbers = capsys.readouterr().out.splitlines()
    assert "27 networks, 27 trainings" in sentences[0]
    assert json.loads(numbers)["tau"] == pytest.approx(0.62, abs=0.02)
    assert json.loads(numbers)["forecast"] is None


def test_a_plan_tells_hours_memory_storage_and_money_in_80_columns(capsys):
    for words in (("--price", "0.5"), ("--json",)):
        with pytest.raises(SystemExit) as stop:
            main(["plan", "digits", "--seconds", "0.3", "--slots", "3", *words])
        assert stop.value.code == 0
    *lines, numbers = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    for part in (
        r"1,151 to train, 287 to select, 359 to test",
        r"27 of the search, about 155 of finalists",
        r"core-hours +[\d.]+\n",
        r"by the clock +[\d.]+ hours with 3 slots",
        r"memory +[\d.]+ MB",
        r"storage +\d+ MB \(tables [\d.]+ MB, weights \d+ MB\)",
        r"money +[\d.]+ at 0.5 a core-hour",
    ):
        assert re.search(part, text), f"{part} is not in {text}"
    found = json.loads(numbers)["forecast"]
    assert found["device_hours"] == pytest.approx(182 * found["median"]["training_s"] / 3600)


def test_a_plan_without_the_data_tells_what_the_study_could_show(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("STACNET_DATA", str(tmp_path))
    with pytest.raises(SystemExit) as stop:
        main(["plan", "glyph-letters"])
    assert stop.value.code == 0
    said = capsys.readouterr().out
    assert "71 networks, 284 trainings" in said
    assert "No hours are told: hours need the number of images" in said
