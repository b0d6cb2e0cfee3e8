"""What a sceptic would try first: fixed placements, cost as a predictor, zero-cost proxies."""

import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray

from analysis.predict.picks import Pick, make_pick
from analysis.predict.proxies import PROXIES, Proxy, proxy_score
from search.study.networks import Networks
from stacnet.data.augment import Scaling
from stacnet.data.images import Splits
from stacnet.network import build

PROXY_IMAGES = 32
PROXY_NETWORKS = 700  # more candidates than this: a seeded sample of them is scored
PROXY_SEEDS = (7, 8, 9)
Floats = NDArray[np.float64]


def baseline_picks(among: Networks, splits: Splits, *, primary: Pick) -> list[Pick]:
    """All baselines that need no training."""
    return [
        *static_picks(among, primary),
        *reference_picks(among),
        *cost_picks(among),
        *proxy_picks(among, splits),
    ]


def static_picks(among: Networks, primary: Pick) -> Iterator[Pick]:
    """Gates that never look at the image where the primary pick puts its own, if the space has any.

    What they reach needs no attention. The score is the number of stages that agree.
    """
    if among.is_static_N.any():
        wanted_T = among.cells_NT[among.row[primary.network_id]]
        agree_N = (among.cells_NT == wanted_T).sum(1) + among.is_static_N * len(wanted_T)
        score_N = agree_N.astype(float)
        yield make_pick("static, pick's scales", "reference", score_N, among, cost_s=primary.cost_s)


def reference_picks(among: Networks) -> Iterator[Pick]:
    """One scale in every stage that may carry attention (1 is SE everywhere), where that exists.

    The score is the number of stages at that scale.
    """
    for cells in sorted(set(among.cells_NT.ravel().tolist()) - {0}):
        share_N = (among.cells_NT == cells).sum(1).astype(float)
        if share_N.max() == among.open_T.sum():
            name = "SE everywhere" if cells == 1 else f"s={cells} everywhere"
            yield make_pick(name, "reference", share_N, among, cost_s=0.0)


def cost_picks(among: Networks) -> Iterator[Pick]:
    """More is better: parameters and MACs as predictors."""
    yield make_pick("parameters", "cost", among.params_N.astype(float), among, cost_s=0.0)
    yield make_pick("MACs", "cost", among.macs_N.astype(float), among, cost_s=0.0)


def proxy_picks(among: Networks, splits: Splits) -> Iterator[Pick]:
    """Zero-cost proxies on every candidate, or on a seeded sample of a large space.

    Each is the mean over some seeds of initialisation; their spread is its noise.
    """
    rng = np.random.default_rng(PROXY_SEEDS[0])
    rows = np.sort(rng.permutation(len(among))[:PROXY_NETWORKS])
    images = rng.permutation(len(splits.train))[:PROXY_IMAGES]
    scaling = Scaling(splits.mean_C, splits.std_C, device=torch.device("cpu"))
    x_BCHW = scaling.normalise(torch.from_numpy(splits.train.take(images)))
    y_B = torch.from_numpy(splits.train.labels_N[images])
    shape = (len(PROXY_SEEDS), len(among))
    score: dict[Proxy, Floats] = {proxy: np.full(shape, np.nan) for proxy in PROXIES}
    seconds = dict.fromkeys(PROXIES, 0.0)
    for row, (place, seed) in product(rows, enumerate(PROXY_SEEDS)):
        network = build(among.specs[row], seed=seed)
        for proxy in PROXIES:
            started = time.perf_counter()
            score[proxy][place, row] = proxy_score(proxy, network, x_BCHW, y_B)
            seconds[proxy] += time.perf_counter() - started
    for proxy in PROXIES:
        score_SN = score[proxy]
        pick = make_pick(proxy, "proxy", score_SN.mean(0), among, cost_s=seconds[proxy])
        yield replace(pick, noise=noise_of(score_SN[:, rows]))


def noise_of(score_SN: Floats) -> float:
    """SD of a network's score between seeds, beside what a seed does to all networks: a number.

    Args:
        score_SN: of at least 2 seeds and 2 networks; with fewer it is 0.
    """
    left_SN = score_SN - score_SN.mean(0) - score_SN.mean(1, keepdims=True) + score_SN.mean()
    freedom = (score_SN.shape[0] - 1) * (score_SN.shape[1] - 1)
    return float(np.sqrt(np.square(left_SN).sum() / max(freedom, 1)))
