"""How often the judge is wrong: simulated studies whose truth is known, the table of statistics.md.

Every study has 6 seeds and 1,000 test images that all its networks share, 12 secondary predictors
beside the primary one, and a truth of its own. Printed are shares of studies in which the primary
rule gets a word (predicts, misleads), one of the 12 others does, the primary's pick is called
competitive though it loses more than the margin, and the best found is a network that diverged; and
the share of regrets that their interval covers. Shapes: N networks, S seeds, I test images.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.special import ndtri

from analysis.judge.answers import Answers
from analysis.judge.compare import EPOCH_COLUMNS, Material, judge_all
from analysis.judge.comparison import Comparison
from analysis.judge.nulls import random_maps
from analysis.judge.results import Results
from analysis.predict.picks import Family, Pick, Picks, make_pick
from search.store.rows import study_and_space_id
from search.store.schema import EPOCHS
from search.study.networks import Networks, networks
from search.study.space import Space
from search.study.study import Study
from stacnet.data_spec import Digits
from stacnet.protocol import Protocol
from stacnet.spec import resnet

Floats = NDArray[np.float64]
IMAGES, SEEDS, CLASSES, MARGIN = 1000, 6, 10, 0.003
SECONDARY = 12
# Of an image for all networks, for one, for one training: two equal ones disagree on 11 %.
EASE, OWN, NOISE = 1.5, 0.35, 0.35
SEED_SD = 0.02  # of a whole training, in units of ease
SAID = ("word", "other words", "false competitive", "sick best")
VAL_SD = 0.008  # of validation accuracy, images and seed
SIZES = {  # networks: depth (of 3 or 4 stages), and the scales of each stage
    27: (8, ("off", 1, 4)),
    125: (8, ("off", 1, 2, 3, 4)),
    625: (18, ("off", 1, 2, 3, 4)),
}


@dataclass(frozen=True)
class Case:
    """A truth, and what is predicted about it.

    Args:
        truth: population accuracy of each network.
        primary, secondary: scores of the primary rule, and of one other predictor.
        diverging: share of networks that diverge with half of their seeds.
    """

    truth: Callable[[Networks, np.random.Generator], Floats]
    primary: Callable[[Networks, Floats, np.random.Generator], Floats]
    secondary: Callable[[Networks, Floats, np.random.Generator], Floats]
    diverging: float = 0.0


def graded(among: Networks, rng: np.random.Generator) -> Floats:
    """Every scale of every stage is worth something else; 2 points between networks (SD)."""
    worth_N = random_maps(among.cells_NT, draws=1, rng=rng)[:, 0]
    return 0.75 + 0.02 * (worth_N - worth_N.mean()) / worth_N.std()


def plateau(among: Networks, rng: np.random.Generator) -> Floats:
    """Accuracy is high where two stages have one of the finer scales, and low elsewhere."""
    fine_NT = among.cells_NT[:, :2] >= np.unique(among.cells_NT)[-2]
    return 0.7 + 0.05 * fine_NT.sum(1)


def flat(among: Networks, rng: np.random.Generator) -> Floats:
    """All networks are equal."""
    return np.full(len(among), 0.75)


def blind(among: Networks, truth_N: Floats, rng: np.random.Generator) -> Floats:
    """A map that knows nothing."""
    return random_maps(among.cells_NT, draws=1, rng=rng)[:, 0]


def one_stage(among: Networks, truth_N: Floats, rng: np.random.Generator) -> Floats:
    """A map that knows nothing, and says something of one stage only."""
    stage = int(rng.integers(among.cells_NT.shape[1]))
    return random_maps(among.cells_NT[:, [stage]], draws=1, rng=rng)[:, 0]


def right(among: Networks, truth_N: Floats, rng: np.random.Generator) -> Floats:
    """The truth."""
    return truth_N


CASES = {
    "useless maps, graded truth": Case(graded, blind, blind),
    "useless maps, plateau": Case(plateau, blind, blind),
    "useless maps, no truth": Case(flat, blind, blind),
    "one-stage maps, graded truth": Case(graded, one_stage, one_stage),
    "one-stage maps, plateau": Case(plateau, one_stage, one_stage),
    "perfect map": Case(graded, right, blind),
    "inverted map": Case(graded, lambda *known: -right(*known), blind),
    "a fifth diverges": Case(graded, right, blind, diverging=0.2),
}


@cache
def study_of(size: int) -> tuple[Study, Networks]:
    """A study with so many networks."""
    depth, scales = SIZES[size]
    base = resnet(depth, width=8, input_size=32, classes=CLASSES, stem="s1")
    space = Space(base=base, scales=scales, reductions=(4,))
    study = Study(
        name="simulated",
        space=space,
        protocol=Protocol(data=Digits()),
        seeds=tuple(range(SEEDS)),
        margin=MARGIN,
    )
    return study, networks(space)


def drawn(
    study: Study, among: Networks, truth_N: Floats, *, diverging: float, rng: np.random.Generator
) -> tuple[Results, Answers]:
    """One study's results: every network answers the same images, a bit differently each time."""
    sd = np.sqrt(EASE**2 + OWN**2 + NOISE**2 + SEED_SD**2)
    ease_NI = rng.normal(0, EASE, IMAGES) + rng.normal(0, OWN, (len(among), IMAGES))
    diverged_NS = np.zeros((len(among), SEEDS), bool)
    for row in np.flatnonzero(rng.random(len(among)) < diverging):
        diverged_NS[row, rng.permutation(SEEDS)[: SEEDS // 2]] = True
    test_NS, packed = np.full(diverged_NS.shape, 1 / CLASSES), []
    for seed in range(SEEDS):
        shift_N = sd * ndtri(truth_N) + rng.normal(0, SEED_SD, len(among))
        right_NI = ease_NI + rng.normal(0, NOISE, ease_NI.shape) + shift_N[:, None] > 0
        test_NS[:, seed] = np.where(diverged_NS[:, seed], 1 / CLASSES, right_NI.mean(1))
        packed += [bits.tobytes() for bits in np.packbits(right_NI, axis=1)]
    val_NS = truth_N[:, None] + rng.normal(0, VAL_SD, test_NS.shape)
    place_NS = np.arange(test_NS.size).reshape(SEEDS, -1).T
    answers = Answers(
        bits=pa.array(packed, pa.binary()),
        place_NS=np.where(diverged_NS, -1, place_NS),
        images=IMAGES,
        diverged_NS=diverged_NS,
        chance=1 / CLASSES,
    )
    results = Results(
        network_ids=among.network_ids,
        seeds=study.seeds,
        val_NS=np.where(diverged_NS, 1 / CLASSES, val_NS),
        test_NS=test_NS,
        has_test=True,
        macs_N=among.macs_N.astype(float),
        params_N=among.params_N.astype(float),
        latency_N=np.full(len(among), np.nan),
        device_s=float(test_NS.size),
        diverged_NS=diverged_NS,
    )
    return results, answers


def simulate(case: Case, *, size: int, seed: int) -> tuple[Comparison, Floats, Networks]:
    """One study judged, and its truth."""
    rng = np.random.default_rng((seed, size))
    study, among = study_of(size)
    truth_N = case.truth(among, rng)
    results, answers = drawn(study, among, truth_N, diverging=case.diverging, rng=rng)

    def pick(name: str, family: Family, score_N: Floats) -> Pick:
        return make_pick(name, family, score_N, among, cost_s=1.0)

    others = [case.secondary(among, truth_N, rng) for _ in range(SECONDARY)]
    study_id, space_id = study_and_space_id(study)
    picks = Picks(
        space_id=space_id,
        study_id=study_id,
        protocol_id=study.protocol.protocol_id,
        primary_rule=study.primary_rule,
        weights=(),
        network_ids=among.network_ids,
        vanilla_s=1.0,
        look_s=1.0,
        picks=(
            pick(study.primary_rule, "rule", case.primary(among, truth_N, rng)),
            *(pick(f"other {i}", "map", score_N) for i, score_N in enumerate(others)),
        ),
    )
    epochs = pa.Table.from_pylist([], schema=EPOCHS).select(EPOCH_COLUMNS)
    material = Material(
        study=study, among=among, results=results, picks=picks, epochs=epochs, search_s=1.0,
        answers=answers,
    )  # fmt: skip
    return judge_all(material), truth_N, among


def tallied(case: Case, *, size: int, draws: int) -> dict[str, float]:
    """Shares of simulated studies, or of their predictors, in which something was said."""
    count: Counter[str] = Counter()
    for seed in range(draws):
        comparison, truth_N, among = simulate(case, size=size, seed=seed)
        count.update(_said(comparison, truth_N, among))
    shares = {name: count[name] / draws for name in SAID}
    return shares | {"covered": count["covered"] / max(1, count["measured"])}


def _said(comparison: Comparison, truth_N: Floats, among: Networks) -> Iterator[str]:
    words = {"predicts", "misleads"}
    primary, best = comparison.primary, among.row[comparison.best.network_id]
    if primary.verdict.ranking in words:
        yield "word"
    if any(one.verdict.ranking in words for one in comparison.judged[1:] if one.family == "map"):
        yield "other words"
    if comparison.best.network_id in comparison.diverged:
        yield "sick best"
    sick = {among.row[name] for name in comparison.diverged}
    for one in comparison.judged:
        row = among.row[one.network.network_id]
        loss = truth_N[best] - truth_N[row]
        if row == best or row in sick or one.family != "map":
            continue
        yield "measured"
        if one.regret.low <= loss <= one.regret.high:
            yield "covered"
    row = among.row[primary.network.network_id]
    if primary.verdict.choice == "competitive" and truth_N[best] - truth_N[row] > MARGIN:
        yield "false competitive"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=300)
    parser.add_argument("--networks", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--cases", nargs="+", default=list(CASES))
    chosen = parser.parse_args()
    print(f"| case | networks | {' | '.join((*SAID, 'covered'))} |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for size in chosen.networks:
        for name in chosen.cases:
            found = tallied(CASES[name], size=size, draws=chosen.draws)
            numbers = " | ".join(f"{found[one]:.3f}" for one in (*SAID, "covered"))
            print(f"| {name} | {size} | {numbers} |", flush=True)


if __name__ == "__main__":
    main()
