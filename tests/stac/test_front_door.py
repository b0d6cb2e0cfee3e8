"""`import stac`: what it gives, what it costs, and what a result says of itself."""

import ast
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from planted import epochs_table, planted_store, small_study, trainings_table
from searches import cheap

import stac
from analysis.judge.frontier import on_frontier
from search.store.status import status
from search.store.store import Store
from search.study.networks import networks
from search.study.space import Space
from search.study.study import study_from_json
from stacnet.cost import cost
from stacnet.spec import resnet

SOURCE = Path(stac.__file__).read_text()


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> stac.Result:
    """A finished study with planted accuracies."""
    return stac.open(planted_store(str(tmp_path_factory.mktemp("planted")), small_study()).address)


@pytest.mark.parametrize(
    ("code", "unwanted"),
    [
        ("import stac", {"stacnet", "search", "analysis", "stac.cli", "numpy", "pyarrow", "tyro"}),
        (
            "import stac; stac.Study; stac.Space; stac.Protocol; stac.resnet",
            {"torch", "numpy", "pyarrow", "ray", "matplotlib"},
        ),
        ("import stac; stac.search; stac.Result", {"torch", "ray", "matplotlib", "scipy"}),
    ],
)
def test_a_name_costs_only_what_it_needs(code: str, unwanted: set[str]) -> None:
    words = [sys.executable, "-c", f"import sys; {code}; print(*sys.modules)"]
    out = subprocess.run(words, capture_output=True, text=True, check=True)
    assert not unwanted & set(out.stdout.split())


def test_every_public_name_is_there_and_seen_by_type_checkers() -> None:
    (typed,) = (node for node in ast.parse(SOURCE).body if isinstance(node, ast.If))
    seen = {
        (statement.module, alias.name)
        for statement in typed.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    lazy = {(module, name) for module, names in stac._HOME.items() for name in names}
    assert seen == lazy
    assert sorted(name for _, name in lazy) == sorted(stac.__all__)
    assert set(stac.__all__) <= set(dir(stac))
    assert all(getattr(stac, name).__doc__ for name in stac.__all__)


def test_a_name_that_does_not_exist_is_answered_by_those_that_do() -> None:
    with pytest.raises(AttributeError, match=r"module stac has no serach; it has .*search"):
        stac.serach  # noqa: B018


def test_all_packages_say_that_they_are_typed() -> None:
    for package in ("stacnet", "search", "analysis", "stac"):
        assert (Path(stac.__file__).parents[1] / package / "py.typed").exists()


def test_one_tuple_of_scales_holds_for_every_stage_and_changes_no_id() -> None:
    base = resnet(8, width=8, input_size=8, classes=10)
    short, long = (
        Space(base=base, scales=("off", 1, 2)),
        Space(base=base, scales=(("off", 1, 2),) * 3),
    )
    assert short == long
    studies = [replace(cheap(), space=space) for space in (short, long)]
    assert studies[0].study_id == studies[1].study_id
    assert study_from_json(studies[0].to_json(), source="x").space == long
    with pytest.raises(ValueError, match=r"scales must be per stage a tuple .* or one for every"):
        Space(base=base, scales=("off", ("off", 1), 2))  # type: ignore[arg-type]


def test_a_frame_has_a_row_for_each_training_that_counts_and_keeps_units(
    result: stac.Result,
) -> None:
    frame = result.frame()
    assert frame.num_rows == len(networks(result.study.space)) * 2
    assert frame.schema.field("macs").metadata[b"unit"] == b"MACs"
    assert len(frame.to_pandas()) == frame.num_rows


def test_rows_of_another_recipe_in_the_folder_are_not_in_the_frame(tmp_path: Path) -> None:
    study = small_study()
    store = planted_store(str(tmp_path), study)
    foreign = trainings_table(study, np.full((36, 2), 0.9), rows=slice(1))
    column = foreign.schema.get_field_index("protocol_id")
    foreign = foreign.set_column(column, foreign.schema.field(column), [["0" * 16]])
    store.write_merged("cells", foreign)
    store.write_merged("epochs", epochs_table(foreign))
    assert stac.open(tmp_path).frame().num_rows == store.trainings().num_rows - 1 == 72


def test_the_best_network_is_the_one_that_status_names_and_builds(result: stac.Result) -> None:
    best, now = result.best(), status(result.store)
    assert best.id == now.best_network
    assert best.val_acc == pytest.approx(now.best)
    assert (best.seeds, best.spec.network_id) == ((0, 1), best.id)
    spec = best.spec
    images_BCHW = torch.zeros(2, spec.in_channels, spec.input_size, spec.input_size)
    assert best.build()(images_BCHW).shape == (2, spec.classes)
    assert best.id in repr(best)


def test_no_network_beats_one_of_the_frontier(result: stac.Result) -> None:
    frame = result.frame().to_pandas()
    mean = frame.groupby("network_id")[["macs", "val_acc_last"]].mean()
    kept = on_frontier(mean["macs"].to_numpy(float), mean["val_acc_last"].to_numpy())
    front = result.frontier()
    macs = [cost(one.spec).macs for one in front]
    assert sorted(set(macs)) == macs == sorted(set(mean["macs"][kept]))
    assert np.all(np.diff([one.val_acc for one in front if one.val_acc is not None]) > 0)


def test_weights_are_those_of_the_trained_vanilla_network_and_no_others(
    result: stac.Result,
) -> None:
    vanilla = result.study.space.base.network_id
    state = result.weights(vanilla, seed=1)
    result.network(vanilla).build().load_state_dict(state)
    with pytest.raises(ValueError, match=f"vanilla network {vanilla} alone, got network"):
        result.weights(result.best().id)
    with pytest.raises(ValueError, match=r"got network .* with seed 7"):
        result.weights(vanilla, seed=7)


def test_a_network_that_is_none_of_the_studys_is_refused(result: stac.Result) -> None:
    with pytest.raises(ValueError, match="network must be one of the study's, got 'abc'"):
        result.network("abc")


def test_a_network_by_id_or_by_what_it_is_has_the_rows_of_its_trainings(
    result: stac.Result,
) -> None:
    best = result.best()
    found = result.network(best.spec)
    assert found == result.network(best.id) == best
    frame = result.frame()
    own = frame.filter(np.array(frame["network_id"]) == best.id)
    assert found.trainings == own
    assert found.trainings["seed"].to_pylist() == [0, 1]
    assert found.val_acc == pytest.approx(np.mean(own["val_acc_last"]))


def test_a_simulated_search_takes_what_its_trainings_took_and_finds_the_best(
    result: stac.Result,
) -> None:
    for sampler in ("random", "tpe"):
        steps = stac.simulate(result, sampler, seed=0)  # trains with the study's first seed
        frame = result.frame().to_pandas()
        chosen = frame[frame["seed"] == 0].set_index("network_id")["val_acc_last"].idxmax()
        measured = frame[(frame["seed"] == 1) & (frame["network_id"] == chosen)]
        assert len(steps) == 36  # every network once
        assert steps[-1].truth == measured["test_acc_last"].item()
        assert steps[-1].time_s == pytest.approx(36 * 9.0)  # three epochs of 3 s
        assert steps == stac.simulate(result.address, sampler, seed=0)
    half = stac.simulate(result, "random", concurrency=2)[-1].time_s
    assert half == pytest.approx(18 * 9.0)
    assert stac.simulate(result, "random", seed=2) != stac.simulate(result, "random", seed=0)


def test_a_result_shows_itself_as_text_and_as_html(result: stac.Result) -> None:
    stopped = stac.Result(result.store, "SIGINT & more")
    assert "72 of 72 trainings complete" in repr(result)
    assert "stopped: SIGINT & more; stac.resume goes on" in repr(stopped)
    assert "SIGINT &amp; more" in stopped._repr_html_()
    assert stopped._repr_html_().count("<tr>") == 4


def test_a_folder_without_a_study_is_refused_by_name(tmp_path: Path) -> None:
    for door in (stac.open, stac.resume, stac.report, stac.compare, stac.predict):
        with pytest.raises(
            ValueError, match=rf"a study folder must hold study.json, got {tmp_path}"
        ):
            door(tmp_path)


def test_a_study_without_a_complete_training_has_no_best_network(tmp_path: Path) -> None:
    Store(tmp_path).begin(cheap())
    young = stac.open(tmp_path)
    assert young.frame().num_rows == 0
    assert young.network(cheap().space.base.network_id).val_acc is None
    assert young.frontier() == ()
    with pytest.raises(ValueError, match="needs a complete training, got none in <Result cheap"):
        young.best()


def test_an_interrupted_search_is_a_result_that_says_so_and_goes_on(tmp_path: Path) -> None:
    space = Space(base=cheap().space.base, scales=("off", 2), reductions=(4,))
    study = replace(cheap(epochs=1, seeds=(0,)), space=space)
    with pytest.raises(ValueError, match="budget_s must be more than 0 seconds"):
        stac.search(study, tmp_path / "x", budget_s=0)
    here: Any = {"in_process": True, "progress": False}  # Ray is in test_documents, test_wheel
    result = stac.search(study, tmp_path / "x", budget_s=0.001, **here)
    assert result.stopped
    assert "stac.resume goes on" in repr(result)
    done = stac.resume(result, **here)
    assert not done.stopped
    assert (done.status.complete, done.status.missing) == (8, 0)
    again = stac.search(study, tmp_path / "y", reuse_from=done, **here)
    origins = again.frame()["suggested_by"].to_pylist()
    assert origins == [f"reuse:{study.study_id}"] * 8
