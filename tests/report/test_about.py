"""What a report says about several studies."""

from dataclasses import replace
from pathlib import Path

from planted import graded_accuracy, picks_json, planted_store, small_study

from analysis.report.facts import gather
from analysis.report.report import Part, render
from search.study.networks import networks
from stacnet.data_spec import ScaleSignal


def test_studies_of_several_data_sets_are_compared_with_a_fixed_list(tmp_path: Path) -> None:
    study = small_study()
    store = planted_store(str(tmp_path), study)
    text = picks_json(study, networks(study.space), primary=graded_accuracy(networks(study.space)))
    store.storage.write("picks.json", text.encode())
    facts, data = gather(store), study.protocol.data
    assert isinstance(data, ScaleSignal)
    other = replace(study, protocol=replace(study.protocol, data=replace(data, seed=1)))
    parts = [Part(facts=one, pictures=()) for one in (facts, replace(facts, study=other))]
    assert "rank the placements that they share with a tau of 1.00" in render(parts)
    assert "Across these studies" not in render([parts[0], parts[0]])  # one data set
