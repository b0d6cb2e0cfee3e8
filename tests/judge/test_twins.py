"""The best network and the pick against widened twins, on fresh seeds."""

from dataclasses import replace

import pyarrow as pa
import pytest
from planted import graded_accuracy, picks_json, planted_store, small_study

from analysis.judge.compare import compare
from search.store.extras import finalist_trainings, with_finalists, write_extras
from search.store.rows import network_columns
from search.store.schema import CELLS
from search.store.store import Store
from search.study.networks import networks
from search.study.training import Training
from stac.cli.main import main
from stacnet.cost import price

NARROW = small_study(seeds=(0, 1, 2, 3))
WIDE = replace(NARROW.space.base, widths=(16, 32, 64))  # where twins are quickly found
STUDY = replace(NARROW, space=replace(NARROW.space, base=WIDE))
AMONG = networks(STUDY.space)


def row(training: Training, accuracy: float) -> dict[str, object]:
    """A finished training of a finalist."""
    cost = price(training.spec)
    return network_columns(training.spec) | {
        "network_id": training.network_id,
        "protocol_id": training.protocol_id,
        "seed": training.seed,
        "attempt": 0,
        "params": cost.params,
        "macs": cost.macs,
        "status": "complete",
        "val_acc_last": accuracy,
        "test_acc_last": accuracy,
        "suggested_by": training.suggested_by,
    }


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A planted study whose twins are 10 points below the best, as are the pick's."""
    made = planted_store(str(tmp_path_factory.mktemp("twins")), STUDY, truth=graded_accuracy)
    made.storage.write(
        "picks.json", picks_json(STUDY, AMONG, primary=graded_accuracy(AMONG)).encode()
    )
    return made


def test_without_finalists_nothing_is_said_of_twins(store: Store) -> None:
    assert not [c for c in compare(store).contrasts if "widened" in c.label]


def test_twins_are_contrasted_on_fresh_seeds_with_an_interval(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    extras = with_finalists(store)
    write_extras(store.storage, extras)
    rows = []
    for training in finalist_trainings(STUDY, extras, AMONG):
        is_twin = "widened" in training.suggested_by
        accuracy = (0.7 if is_twin else 0.8) + 0.001 * (training.seed % 5) * (1 + is_twin)
        rows.append(row(training, accuracy))
    store.write_merged("cells", pa.Table.from_pylist(rows, schema=CELLS))
    found = {c.label: c for c in compare(store).contrasts if " minus widened " in c.label}
    assert {
        f"{whose} minus widened {kind} (parameters)"
        for whose in ("top 1", f"pick {STUDY.primary_rule}")
        for kind in ("vanilla", "SE")
    } <= found.keys()
    for contrast in found.values():
        assert contrast.difference.n == len(STUDY.finalists.seeds)
        assert contrast.difference.low < contrast.difference.value < contrast.difference.high
    one = found["top 1 minus widened vanilla (parameters)"].difference
    assert one.value == pytest.approx(0.1 - 0.002)
    with pytest.raises(SystemExit):
        main(["compare", store.address])
    assert "minus widened vanilla (parameters): 9.8 points (95 % " in capsys.readouterr().out
