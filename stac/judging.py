"""From a study to a verdict: look at its vanilla network, compare, replay, report."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from search.study.study import SamplerName
from stac.result import Source, store_of

if TYPE_CHECKING:
    import torch

    from analysis.judge.comparison import Comparison
    from analysis.look.classmap import ClassRepMap
    from analysis.predict.picks import Picks
    from analysis.replay.simulate import Replay, Step
    from search.store.store import Store


class Prediction(NamedTuple):
    """What a look at the vanilla networks says: the map, and the networks each rule picks."""

    map: "ClassRepMap"
    picks: "Picks"


def predict(
    source: Source,
    *,
    images: int = 1000,
    train: bool = False,
    device: "torch.device | None" = None,
) -> Prediction:
    """Look at the study's trained vanilla networks; the search's results are not read.

    Writes map.parquet and picks.json into the study's folder.

    Args:
        images: probe images, from the validation split; at least 4 of each class.
        train: first train the vanilla network here, if the study has not.
        device: where the forward passes run; the CPU by default.

    Raises:
        ValueError: no vanilla network is trained, or the data has too few validation images.
    """
    from analysis.predict.predict import NoVanillaError
    from analysis.predict.predict import predict as look

    store = store_of(source)
    try:
        return Prediction(*look(store, images=images, device=device))
    except NoVanillaError:
        if not train:
            raise
    from search.drive.vanilla import train_vanilla

    if (ended := train_vanilla(store)) != "complete":
        raise ValueError(f"a map needs the trained vanilla network, which ended as {ended}")
    return Prediction(*look(store, images=images, device=device))


def compare(source: Source) -> "Comparison":
    """The picks against what was searched, with statistics; looks first if nobody has.

    `print(stac.answer(comparison))` says it in sentences.

    Raises:
        ValueError: no vanilla network is trained, or nothing is.
    """
    from analysis.judge.compare import compare

    store = store_of(source)
    if not store.storage.exists("picks.json"):
        predict(source)
    return compare(store)


def answer(comparison: "Comparison") -> str:
    """What a comparison says, a sentence a line."""
    from analysis.report.sentences import summary

    return "\n".join(summary(comparison))


def simulate(
    source: Source, sampler: SamplerName = "tpe", *, seed: int = 0, concurrency: int = 1
) -> "tuple[Step, ...]":
    """One search by a sampler on the study's results, on a virtual clock: nothing is trained.

    Args:
        seed: of the sampler; it also draws which of the study's seeds is trained.
        concurrency: trials at once.

    Returns:
        After each trial: seconds, and the test accuracy of the network that is best so far by
        validation accuracy.

    Raises:
        ValueError: fewer than two networks are trained with every seed.
    """
    from analysis.replay.replays import sampled_run
    from analysis.replay.starts import ALONE
    from analysis.replay.table import tabulated

    return tuple(sampled_run(tabulated(store_of(source)), sampler, concurrency, (ALONE, seed)))


def replay(
    source: Source, sampler: SamplerName = "random", *, runs: int = 200, concurrency: int = 1
) -> "tuple[Replay, ...]":
    """Many searches by a sampler, as `simulate`: alone, after the pick, and with priors.

    Worker processes simulate; as with all such, a script that calls this needs
    `if __name__ == "__main__":`.

    Args:
        runs: simulated searches.
        concurrency: trials at once on the virtual clock.

    Raises:
        ValueError: too little is trained, or no vanilla network is.
    """
    from analysis.replay.replays import Simulation, replay_study

    store = store_of(source)
    if not store.storage.exists("picks.json"):
        predict(source)
    plan = Simulation(runs=runs, concurrency=concurrency, workers=os.cpu_count() or 1)
    return replay_study(store, sampler, plan=plan)


def report(source: Source, out: str | Path | None = None) -> str:
    """Write one self-contained HTML about the study, finished or not; looks first if nobody has.

    Args:
        out: the HTML file; by default report.html in the study's folder.

    Returns:
        Where it is.

    Raises:
        ValueError: there is no study, or a file in its folder does not fit.
    """
    from analysis.report.report import report

    store = store_of(source)
    _look_if_possible(store)
    return report([store.address], out)


def _look_if_possible(store: "Store") -> None:
    """Map and picks, unless they are there; a report without them says why they are missing."""
    from analysis.predict.predict import NoVanillaError

    if all(store.storage.exists(name) for name in ("map.parquet", "picks.json")):
        return
    try:
        predict(store.address)
    except NoVanillaError:
        return
