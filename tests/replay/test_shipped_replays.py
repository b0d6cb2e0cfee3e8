"""Replays of a study that ships come from its file; what cannot be simulated is refused."""

from pathlib import Path

import pytest
from planted import graded_accuracy, picks_json, planted_store, small_study

import search.store.shipped as shipped
from analysis.replay.replays import FILE, Simulation, replay_study
from search.store.store import Store
from search.study.networks import networks


@pytest.mark.parametrize("given", [{"runs": 0}, {"concurrency": -1}, {"workers": True}])
def test_a_simulation_of_nothing_is_refused_by_name(given):
    with pytest.raises(ValueError, match="must be a whole number of at least 1, got"):
        Simulation(**given)


def test_what_is_stored_is_given_and_other_numbers_are_simulated_and_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = small_study()
    store = planted_store(str(tmp_path / "planted"), study, truth=graded_accuracy)
    text = picks_json(study, networks(study.space), primary=graded_accuracy(networks(study.space)))
    store.storage.write("picks.json", text.encode())
    made = replay_study(store, "random", plan=Simulation(runs=20))
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    ours = Store("bench:planted")
    before = store.storage.read(FILE)
    assert replay_study(ours, "random", plan=Simulation(runs=20)) == made
    others = replay_study(ours, "random", plan=Simulation(runs=10))
    assert [one.runs for one in others] == [10] * len(made)
    assert store.storage.read(FILE) == before
