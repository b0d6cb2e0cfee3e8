"""Picks against the stored frontier: read, split the seeds, judge every predictor, in one value.

Shapes: N networks, S seeds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from analysis.judge.answers import Answers, answers_from_table
from analysis.judge.bench import Bench, make_bench
from analysis.judge.comparison import Cloud, Comparison, Costs
from analysis.judge.judge import corrected, judge
from analysis.judge.judged import Contrast, Judged
from analysis.judge.missing import missing, seen_too_much
from analysis.judge.random_search import equal_cost, random_pick
from analysis.judge.ranks import noise_ceiling
from analysis.judge.results import Results, results_from_table
from analysis.judge.trained import training_picks
from analysis.judge.twins import twin_contrasts
from analysis.judge.verdict import ALPHA
from analysis.predict.picks import Pick, Picks, check_picks, picks_from_json
from search.store.past import Past, past_of
from search.store.rows import study_and_space_id
from search.store.store import Store
from search.store.testset import image_groups
from search.study.networks import Networks, num_trainings
from search.study.seeds import split_seeds
from search.study.study import Study

EPOCH_COLUMNS = ("network_id", "protocol_id", "seed", "epoch", "val_acc", "cum_s")


def compare(store: Store | Past, *, picks_file: str | None = None) -> Comparison:
    """Judge the study's picks, and the baselines that training results allow.

    Args:
        store: or a look at it, with which others share what was read.
        picks_file: picks.json; by default the one in the study's folder.

    Raises:
        ValueError: no picks, picks of another space, nothing trained, a bad table.
    """
    past = past_of(store)
    study, among = past.study, past.networks
    source, picks = read_picks(past.store, picks_file)
    _, space_id = study_and_space_id(study)
    check_picks(picks, space_id=space_id, among=among, source=source)
    protocol_id, chance = study.protocol.protocol_id, 1 / study.space.base.classes
    results = results_from_table(
        past.trainings, protocol_id=protocol_id, known=among.network_ids, chance=chance
    )
    answers = answers_from_table(
        past.trainings,
        results,
        protocol_id=protocol_id,
        chance=chance,
        groups_I=image_groups(past.store.storage),
    )
    return judge_all(
        Material(
            study=study,
            among=among,
            results=results,
            answers=answers,
            picks=picks,
            epochs=past.epochs,
            search_s=float(np.nansum(past.attempts.table["device_s"].to_numpy())),
            twins=twin_contrasts(past),
        )
    )


def read_picks(store: Store, picks_file: str | None) -> tuple[str, Picks]:
    """Name of the file and what is in it.

    Raises:
        ValueError: there is no such file, or it does not fit.
    """
    source = picks_file or f"{store.address}/picks.json"
    try:
        if picks_file is None:
            text = store.storage.read("picks.json")
        else:
            with open(picks_file, "rb") as file:
                text = file.read()
    except FileNotFoundError:
        raise ValueError(
            f"{source}: no picks here yet; make them with `stac classrepsim {store.address}`"
        ) from None
    return source, picks_from_json(text, source=source)


@dataclass(frozen=True, kw_only=True, eq=False)
class Material:
    """What a comparison is made from.

    Args:
        picks: predictions about the networks of `among`.
        epochs: columns of EPOCH_COLUMNS, by training and epoch.
        search_s: device seconds of all attempts.
        answers: right answers per test image, where they are stored.
        twins: contrasts with widened twins, where they were trained.
    """

    study: Study
    among: Networks
    results: Results
    picks: Picks
    epochs: pa.Table
    search_s: float
    answers: Answers | None = None
    twins: tuple[Contrast, ...] = ()


def judge_all(material: Material) -> Comparison:
    """The comparison from values, without a store.

    Raises:
        ValueError: nothing was trained.
    """
    study, among, results = material.study, material.among, material.results
    seeds_a, seeds_b, fresh = split_seeds(study.seeds, results.seeds)
    bench = make_bench(study, among, results, material.answers)
    judged = _judged(material, bench, seeds_a)
    trained_N = np.isfinite(bench.measure_N)
    vanilla_row = results.row.get(study.space.base.network_id)
    study_id, space_id = study_and_space_id(study)
    return Comparison(
        study=study.name,
        study_id=study_id,
        space_id=space_id,
        protocol_id=study.protocol.protocol_id,
        metric="test accuracy" if results.has_test else "validation accuracy",
        primary_rule=study.primary_rule,
        margin=study.margin,
        seeds_a=seeds_a,
        seeds_b=seeds_b + fresh,
        networks=len(among),
        planned_cells=num_trainings(study, among),
        seed_sd=bench.paired_sd,
        noise_ceiling=noise_ceiling(_study_seeds(results, seeds_a + seeds_b)),
        cloud=_cloud(results, bench, trained_N),
        best=bench.network(bench.best, "best of the search"),
        vanilla=None if vanilla_row is None else bench.network(vanilla_row, "vanilla"),
        random=random_pick(bench),
        equal_cost=equal_cost(bench, judged[0].break_even_trials),
        judged=tuple(judged),
        diverged=tuple(results.network_ids[row] for row in np.flatnonzero(~results.is_sound_N)),
        test_images=material.answers.images if material.answers else None,
        image_groups=material.answers.num_groups if material.answers else None,
        contrasts=(*contrasts(bench, judged, vanilla_row), *material.twins),
        fronts=tuple(bench.fronts.values()),
        costs=_costs(material),
        missing=(
            *missing(study, among, bench, judged),
            *seen_too_much(material.picks.weights, study, sorted({*seeds_b, *fresh} - {*seeds_a})),
        ),
    )


def _judged(material: Material, bench: Bench, seeds_a: Sequence[int]) -> list[Judged]:
    """Every predictor, the primary one first; the words about the others are corrected."""
    results = material.results
    trial_s = results.device_s / results.trainings if results.trainings else float("nan")
    is_own = pc.field("protocol_id") == material.study.protocol.protocol_id
    epochs = material.epochs.filter(is_own)
    more = training_picks(material.among, bench, results, epochs, seeds_a=seeds_a)
    picks = _primary_first(material.picks, more)
    levels = [ALPHA, *(ALPHA / (len(picks) - 1) for _ in picks[1:])]
    primary, *others = (
        judge(bench, pick, search_s=material.search_s, trial_s=trial_s, level=level)
        for pick, level in zip(picks, levels, strict=True)
    )
    return [primary, *corrected(bench, others)]


def _cloud(results: Results, bench: Bench, trained_N: NDArray[np.bool_]) -> Cloud:
    return Cloud(
        network_ids=tuple(results.network_ids[i] for i in np.flatnonzero(trained_N)),
        macs=tuple(results.macs_N[trained_N].tolist()),
        accuracies=tuple(bench.measure_N[trained_N].tolist()),
    )


def _costs(material: Material) -> Costs:
    return Costs(
        search_s=material.search_s,
        cells=material.results.trainings,
        vanilla_s=material.picks.vanilla_s,
        look_s=material.picks.look_s,
    )


def contrasts(
    bench: Bench, judged: Sequence[Judged], vanilla_row: int | None
) -> Iterator[Contrast]:
    """The primary pick against what a reader asks about first."""
    pick = bench.results.row[judged[0].network.network_id]
    if vanilla_row is not None:
        yield bench.contrast("pick minus vanilla", pick, vanilla_row)
        yield bench.contrast("best minus vanilla", bench.best, vanilla_row)
    for other in judged[1:]:
        row = bench.results.row[other.network.network_id]
        if other.family in ("control", "reference", "training"):
            yield bench.contrast(f"pick minus pick of {other.name}", pick, row)


def _primary_first(picks: Picks, more: Sequence[Pick]) -> list[Pick]:
    primary = picks.find(picks.primary_rule)
    if primary is None:
        raise ValueError(f"picks must hold the primary rule {picks.primary_rule}, got none")
    return [primary, *(pick for pick in (*picks.picks, *more) if pick is not primary)]


def _study_seeds(results: Results, seeds: Sequence[int]) -> np.ndarray:
    columns = [results.seeds.index(seed) for seed in dict.fromkeys(seeds)]
    return results.test_NS[:, columns]
