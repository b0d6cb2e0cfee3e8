"""The best network is looked at like vanilla, and its map stands in the report."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from planted import graded_accuracy, picks_json, planted_store, small_study

from analysis.predict.attended import look_at_best
from analysis.report.facts import gather
from analysis.report.figures_map import map_facts
from search.store.check import check
from search.store.extras import SELECTED, with_finalists, write_extras
from search.study.networks import networks
from search.study.study import Finalists
from search.study.training import id_of
from stacnet.checkpoint import dumps
from stacnet.network import build
from stacnet.spec import spec_from_dict

pytestmark = pytest.mark.slow  # takes seconds


def test_the_selected_finalist_is_mapped_and_reported(tmp_path: Path) -> None:
    study = replace(small_study(), finalists=Finalists(top=1, seeds=(100, 101)))
    store = planted_store(str(tmp_path), study)
    assert look_at_best(store, images=200) is None  # nobody is a finalist yet
    write_extras(store.storage, with_finalists(store))
    assert look_at_best(store, images=200) is None  # not trained yet
    [best] = [one for one in with_finalists(store).finalists if one.reason == SELECTED]
    spec = spec_from_dict(best.spec)
    key = (spec.network_id, study.protocol.protocol_id, 101)
    store.write_weights(id_of(key), dumps(build(spec, seed=101).state_dict()))
    torch.set_num_threads(2)  # which the reader's own work keeps
    chart = look_at_best(store, images=200)
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)
    assert chart is not None
    assert chart.num_networks == 1
    assert len(chart.stages()) == 3
    assert not any("attended" in fault for fault in check(store))
    among = networks(study.space)
    store.storage.write(
        "picks.json", picks_json(study, among, primary=graded_accuracy(among)).encode()
    )
    facts = gather(store)
    assert facts.attended is not None
    crs = [[one.crs for one in of.readings] for of in (facts.attended, chart)]
    assert crs[0] == crs[1]
    titles = [panel.title for panel in map_facts(chart, facts.attended).panels]
    assert titles[-2:] == ["best network", "headroom of the best network"]
