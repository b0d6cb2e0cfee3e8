"""Stored trainings as a table that a simulated search looks results up in."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from analysis.judge.agreement import mean_over_seeds
from analysis.judge.results import Results, results_from_table
from analysis.replay.simulate import Trial
from search.store.parts import rows
from search.store.past import Past, past_of
from search.store.store import Store
from search.study.networks import Networks
from search.study.seeds import split_seeds
from search.study.study import Study
from search.study.training import Training

EPOCH_COLUMNS = ("network_id", "protocol_id", "seed", "cum_s")


@dataclass(frozen=True, eq=False)
class Tabulated:
    """Stored trainings, looked up by training.

    Args:
        study: whose they are.
        seeds: one of them is drawn for each run.
        among: the networks that are stored with every seed.
        trials: by network id and seed.
        trainings: by point and seed, as they are asked for.
    """

    study: Study
    seeds: tuple[int, ...]
    among: Networks
    trials: dict[tuple[str, int], Trial]
    trainings: dict[tuple[int, int], Training] = field(default_factory=dict, repr=False)

    @cached_property
    def protocol_id(self) -> str:
        """Of the study."""
        return self.study.protocol.protocol_id

    def __call__(self, training: Training) -> Trial:
        """What training this training gave."""
        return self.trials[training.network_id, training.seed]

    def training(self, point: int, seed: int) -> Training:
        """The training at a point of the space; made once, so that its hashes are counted once."""
        if (point, seed) not in self.trainings:
            self.trainings[point, seed] = Training(
                spec=self.study.space.spec(point),
                protocol_id=self.protocol_id,
                seed=seed,
                point=point,
            )
        return self.trainings[point, seed]


def tabulated(store: Store | Past) -> Tabulated:
    """All stored trainings of a study.

    Args:
        store: or a look at it, with which others share what was read.

    Raises:
        ValueError: fewer than two networks are trained with every seed.
    """
    past = past_of(store)
    study, among = past.study, past.networks
    results = results_from_table(
        past.trainings, protocol_id=study.protocol.protocol_id, known=among.network_ids
    )
    seeds = tuple(seed for seed in study.seeds if seed in results.seeds)
    columns = [results.seeds.index(seed) for seed in seeds]
    is_complete_N = np.isfinite(results.val_NS[:, columns]).all(1) & bool(columns)
    complete = among.only(np.flatnonzero(is_complete_N))
    if len(complete) < 2:
        raise ValueError(
            f"a replay needs at least two networks trained with every seed, got {len(complete)} "
            f"in {past.store.address}"
        )
    return Tabulated(study, seeds, complete, _trials(past, results))


def _trials(past: Past, results: Results) -> dict[tuple[str, int], Trial]:
    study = past.study
    _, seeds_b, _ = split_seeds(study.seeds, results.seeds)
    truth_N = mean_over_seeds(results.test_NS[:, [results.seeds.index(s) for s in seeds_b]])
    ends: dict[tuple[str, int], list[float]] = {}
    for network_id, protocol_id, seed, end_s in rows(past.epochs, EPOCH_COLUMNS):
        if protocol_id == study.protocol.protocol_id:
            ends.setdefault((network_id, seed), []).append(end_s or 0.0)
    mean_s = results.device_s / results.trainings
    found = {}
    for training, outcome in past.known(past.history.final(study.max_attempts)):
        row = results.row.get(training.network_id)
        if row is None or outcome is None or outcome.status != "complete":
            continue
        key = (training.network_id, training.seed)
        found[key] = Trial(
            values=outcome.values,
            truth=float(truth_N[row]),
            curve=outcome.curve or (outcome.values["val_acc"],),
            ends_s=tuple(ends.get(key, [mean_s])),
        )
    return found
