"""What a sceptic would try first: fixed placements, cost as a predictor, zero-cost proxies."""

import time
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from analysis.predict.picks import Pick, make_pick
from analysis.predict.proxies import PROXIES, Proxy, proxy_score
from search.study.networks import Networks
from stacnet.data.augment import Scaling
from stacnet.data.images import Splits
from stacnet.resnet import build

PROXY_IMAGES = 32
PROXY_NETWORKS = 2000  # more candidates than this: a seeded sample of them is scored
PROXY_SEED = 7


def baseline_picks(among: Networks, splits: Splits) -> list[Pick]:
    """All baselines that need no training."""
    return [*reference_picks(among), *cost_picks(among), *proxy_picks(among, splits)]


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
    """Zero-cost proxies on every candidate, or on a seeded sample of a large space."""
    rng = np.random.default_rng(PROXY_SEED)
    rows = np.sort(rng.permutation(len(among))[:PROXY_NETWORKS])
    images = rng.permutation(len(splits.train))[:PROXY_IMAGES]
    scaling = Scaling(splits.mean_C, splits.std_C, device=torch.device("cpu"))
    x_BCHW = scaling.normalise(torch.from_numpy(splits.train.take(images)))
    y_B = torch.from_numpy(splits.train.labels_N[images])
    score: dict[Proxy, NDArray[np.float64]] = {p: np.full(len(among), np.nan) for p in PROXIES}
    seconds = dict.fromkeys(PROXIES, 0.0)
    for row in rows:
        network = build(among.specs[row], seed=PROXY_SEED)
        for proxy in PROXIES:
            started = time.perf_counter()
            score[proxy][row] = proxy_score(proxy, network, x_BCHW, y_B)
            seconds[proxy] += time.perf_counter() - started
    for proxy in PROXIES:
        yield make_pick(proxy, "proxy", score[proxy], among, cost_s=seconds[proxy])
