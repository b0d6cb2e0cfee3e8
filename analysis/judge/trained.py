"""Baselines that have seen training results: best uniform scale, one epoch of training.

Shapes: N networks.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analysis.judge.bench import Bench
from analysis.judge.results import Results
from analysis.predict.picks import Pick, make_pick
from search.store.parts import rows
from search.study.networks import Networks
from stacnet.ids import short_hash


def training_picks(
    among: Networks,
    bench: Bench,
    results: Results,
    epochs: pa.Table,
    *,
    seeds_a: Sequence[int],
) -> list[Pick]:
    """Baselines that see training results of seeds A.

    The best network with one scale everywhere, the best with static gates, one epoch of training.
    """
    among = replace(among, prices_N2=np.stack([results.params_N, results.macs_N], axis=1))
    seen = short_hash(np.ascontiguousarray(bench.select_NA).tobytes())
    trial_s = results.device_s / max(1, results.trainings)
    cells_NT = among.cells_NT[:, among.open_T]
    uniform_N = (cells_NT == cells_NT[:, :1]).all(1) & ~among.is_static_N
    made = []
    for name, is_N in (("best uniform scale", uniform_N), ("best static gate", among.is_static_N)):
        score_N = np.where(is_N, bench.select_N, np.nan)
        if np.isfinite(score_N).any():
            cost_s = float(np.isfinite(bench.select_NA[is_N]).sum()) * trial_s
            made.append(make_pick(name, "training", score_N, among, cost_s=cost_s))
    one_N, one_s = first_epoch(among, results, epochs, seeds_a=seeds_a)
    if np.isfinite(one_N).any():
        made.append(make_pick("one epoch", "training", one_N, among, cost_s=one_s))
    return [replace(pick, frontier_seen=seen) for pick in made]


def first_epoch(
    among: Networks, results: Results, epochs: pa.Table, *, seeds_a: Sequence[int]
) -> tuple[np.ndarray, float]:
    """Validation accuracy after one epoch, mean over seeds A: (N,); and what that took, s.

    Args:
        epochs: of the study's protocol, one row for each epoch of the attempt that counts.
    """
    total_N, count_N, seconds = np.zeros(len(among)), np.zeros(len(among)), 0.0
    wanted = (pc.field("epoch") == 1) & pc.field("seed").isin(list(seeds_a))
    columns = ("network_id", "val_acc", "cum_s")
    for network_id, accuracy, end_s in rows(epochs.filter(wanted), columns):
        at = results.row.get(network_id)
        if at is not None:
            total_N[at] += accuracy
            count_N[at] += 1
            seconds += end_s or 0.0
    mean_N = np.divide(total_N, count_N, out=np.full(len(among), np.nan), where=count_N > 0)
    return mean_N, seconds
