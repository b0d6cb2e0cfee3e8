"""The networks of a space are one value wherever they come from; counts and best follow from it."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from planted import epochs_table, small_study, trainings_table
from pyarrow import Table, concat_tables
from searches import cheap

from analysis.judge.bench import make_bench
from analysis.judge.results import results_from_table
from search.drive.progress import Tally
from search.errors import StudyError
from search.store.extras import Extras, Finalist, extended, with_finalists
from search.store.manifest import FILE, check_manifest, load_or_list, load_or_make, read_manifest
from search.store.past import Past
from search.store.status import planned_trainings, status
from search.store.store import Store
from search.study.networks import meets_bounds, networks, num_networks, num_trainings
from search.study.space import Space
from search.study.study import Exhaustive, Sampled, Study
from stac.result import Result
from stacnet.attention_spec import CHOICES, AttentionSpec
from stacnet.cost import cost, price
from stacnet.spec import NetworkSpec, ResNetSpec, resnet, spec_from_dict

pytestmark = pytest.mark.slow  # takes seconds

BASE = ResNetSpec(block="bottleneck", blocks=(2, 1), widths=(6, 4), input_size=8, classes=4)
EVERY_OPTION = Space(
    base=BASE,
    scales=(("off", 1, 2, "native"), ("off", 1, 4)),
    kinds=CHOICES["kind"],
    kernels=(1, 3),
    pools=("avg", "max"),
    fuses=("mul", "affine"),
    norms=CHOICES["norm"],
    positions=CHOICES["position"],
    placements=("all", "last"),
)
HUGE = Space(
    base=resnet(50, input_size=64, classes=4),
    scales=("off", 1, 2, 4, "native"),
    kernels=(1, 3, 5, 7),
    reductions=(1, 2, 4, 8, 16),
    fuses=CHOICES["fuse"],
    pools=CHOICES["pool"],
    positions=CHOICES["position"],
)


def test_prices_are_those_of_each_network_by_itself() -> None:
    among = networks(EVERY_OPTION)
    prices = [price(spec) for spec in among.specs]
    assert among.params_N.tolist() == [one.params for one in prices]
    assert among.macs_N.tolist() == [one.macs for one in prices]
    for row in np.random.default_rng(0).choice(len(among), 6, replace=False):
        built = cost(among.specs[row])
        assert (among.params_N[row], among.macs_N[row]) == (built.params, built.macs)


def test_a_network_is_found_at_its_first_point() -> None:
    first: dict[NetworkSpec, int] = {}
    for point, spec in EVERY_OPTION:
        first.setdefault(spec, point)
    among = networks(EVERY_OPTION)
    assert among.specs == tuple(first)
    assert among.points == tuple(first.values())
    for spec in among.specs[:: len(among) // 6]:
        assert EVERY_OPTION.find(spec) == first[spec] == among.point(spec.network_id)
    for spec in (
        replace(BASE, attention=(None, AttentionSpec(scale=3))),
        replace(BASE, attention=(AttentionSpec(scale=2, kernel=1), AttentionSpec(scale=2))),
        replace(BASE, classes=5),
    ):
        assert EVERY_OPTION.find(spec) is None
        assert among.point(spec.network_id) is None


def test_a_network_of_a_space_too_large_to_list_is_found() -> None:
    assert HUGE.size() > 200_000
    point = HUGE.size() - 1
    found = HUGE.find(HUGE.spec(point))
    assert found is not None
    assert HUGE.spec(found) == HUGE.spec(point)
    assert HUGE.find(HUGE.base) == 0


@pytest.mark.parametrize("bounds", [{}, {"max_params_ratio": 1.2}, {"max_macs_ratio": 1.05}])
def test_the_stored_networks_are_those_of_the_space(tmp_path: Path, bounds: dict) -> None:
    study = replace(cheap(), space=replace(cheap().space, **bounds))
    store = Store(tmp_path)
    store.begin(study)
    assert load_or_list(store.storage, study) is None
    made = load_or_make(store.storage, study)
    wanted = networks(cheap().space).specs
    kept = [spec.network_id for spec in wanted if meets_bounds(study.space, spec)]
    assert made == load_or_make(store.storage, study) == load_or_list(store.storage, study)
    assert made == Past(store).networks == networks(study.space)
    assert list(made.network_ids) == kept
    assert (len(kept) < len(wanted)) == bool(bounds)
    table, is_proven = read_manifest(store.storage)
    assert is_proven
    assert table["macs"].to_pylist() == (made.macs_N.tolist() if bounds else [None] * len(made))
    assert check_manifest(store.storage, study) is None


def test_bounds_that_leave_no_network_are_refused() -> None:
    space = replace(EVERY_OPTION, scales=((1,), (1,)), max_params_ratio=1.0)
    with pytest.raises(StudyError, match="bounds must leave at least one network, got max_params"):
        networks(space)


@pytest.mark.parametrize(
    ("rows", "rule"),
    [
        (range(1, 27), "a manifest must list all 27 networks, got 26"),
        ((0, *range(27)), "each network must be there once, got 28 of 27"),
    ],
)
def test_a_list_that_cannot_prove_itself_is_named_and_counts_for_nothing(
    tmp_path: Path, rows: Sequence[int], rule: str
) -> None:
    study, store = cheap(), Store(tmp_path)
    store.begin(study)
    load_or_make(store.storage, study)
    table = read_manifest(store.storage)[0].take(list(rows)).replace_schema_metadata({})
    pq.write_table(table, tmp_path / FILE)  # as version 1 did
    assert rule in (check_manifest(store.storage, study) or "")
    assert load_or_list(store.storage, study) == Past(store).networks == networks(study.space)
    load_or_make(store.storage, study)
    assert check_manifest(store.storage, study) is None


@pytest.mark.parametrize(
    ("strategy", "trials", "listed", "expected"),
    [
        (Exhaustive(), 0, True, 6),
        (Exhaustive(), 0, False, 9),  # points stand for networks that nobody has listed
        (Sampled(trials=3), 0, True, 3),
        (Sampled(trials=3), 2, False, 5),
        (Sampled(trials=3), 200, True, 6),
    ],
)
def test_a_study_comes_to_its_networks_times_its_seeds(
    strategy: Exhaustive | Sampled, trials: int, listed: bool, expected: int
) -> None:
    space = replace(cheap().space, scales=((1, 2, 4), ("off", 4, "native"), ("off",)))
    study = replace(cheap(), space=space, strategy=strategy)
    among = networks(space) if listed else None
    assert num_networks(study, among) == min(expected, getattr(strategy, "trials", 9))
    extras = Extras(trials=trials, finalists=(Finalist(spec=space.base.to_dict(), reason="x"),))
    assert num_trainings(extended(study, extras), among) == 2 * expected
    assert planned_trainings(study, extras, among) == 2 * expected + 5


def same_best() -> tuple[Study, Table]:
    """One seed; two networks tie, the dearer one of the lower id; a better one is no member."""
    study = replace(small_study(seeds=(0,)), primary_rule="R1")
    scales = tuple(tuple(s for s in stage if s != "off") for stage in study.space.stage_scales)
    study = replace(study, space=replace(study.space, scales=scales))
    values = np.full((len(networks(study.space)), 1), 0.5)
    values[[5, 11]] = 0.75
    table = trainings_table(study, values)
    base = study.space.base
    stranger = table.slice(0, 1).to_pylist()[0] | {"val_acc_last": 0.9, "test_acc_last": 0.9}
    stranger |= {"network_id": base.network_id, "spec_json": json.dumps(base.to_dict())}
    return study, concat_tables([table, Table.from_pylist([stranger], schema=table.schema)])


def test_status_progress_finalists_and_comparison_name_the_same_best_network(
    tmp_path: Path,
) -> None:
    study, table = same_best()
    store, among = Store(tmp_path), networks(study.space)
    store.begin(study)
    load_or_make(store.storage, study)
    store.write_merged("epochs", epochs_table(table))
    store.write_merged("cells", table)
    results = results_from_table(
        table, protocol_id=study.protocol.protocol_id, known=among.network_ids
    )
    bench = make_bench(study, among, results)
    best, dearer = 5, 11
    assert among.macs_N[best] < among.macs_N[dearer]
    assert among.network_ids[best] > among.network_ids[dearer]
    assert bench.best == best
    now = status(store)
    assert (now.best_network, now.best) == (among.network_ids[best], 0.75)
    assert Tally.of(store, study, total=9, ended=9).best == 0.75
    assert Result(store).best().id == among.network_ids[best]
    top = next(one for one in with_finalists(store).finalists if one.reason == "top 1")
    assert spec_from_dict(top.spec) == among.specs[best]
