"""The map of the best network, which has attention: did the headroom close where a gate went?"""

import torch

from analysis.look.classmap import ClassRepMap
from analysis.look.controls import map_with_controls
from analysis.look.probeset import probe_set
from analysis.look.threads import threads
from analysis.predict.mapfile import ATTENDED, map_to_parquet
from analysis.predict.predict import map_scales, places
from analysis.telling import Tell, quietly
from search.store.extras import SELECTED, read_extras
from search.store.store import Store
from search.study.training import id_of
from stacnet.data.images import load
from stacnet.network import build, last_map
from stacnet.spec import spec_from_dict


def look_at_best(store: Store, *, images: int = 1000, tell: Tell = quietly) -> ClassRepMap | None:
    """Look at the finalist that the search selected as at vanilla; written to attended.parquet.

    Nothing is picked from it: the networks it looks at have seen the results.

    Args:
        images: the same probe images as of the vanilla networks.
        tell: is told of each network.

    Returns:
        The map; None where no finalist was selected, or none of its weights are stored.
    """
    study = store.study()
    extras = read_extras(store.storage)
    spec = next((one.spec for one in extras.finalists if one.reason == SELECTED), None)
    if spec is None:
        return None
    best = spec_from_dict(spec)
    networks = []
    for seed in (*study.seeds, *study.finalists.seeds):
        state = store.weights(id_of((best.network_id, study.protocol.protocol_id, seed)))
        if state is not None:
            network = build(best, seed=seed)
            network.load_state_dict(state)
            networks.append((network, None))
    if not networks:
        return None
    tell(f"looking at the best network, {len(networks)} times", 0, 0)
    probes = probe_set(load(study.protocol.data), images=images, device=torch.device("cpu"))
    with threads(study.resources.cpus):
        chart = map_with_controls(
            networks, probes, places=places(best), last=last_map(best), scales=map_scales(study)
        )
    store.storage.write(ATTENDED, map_to_parquet(chart))
    return chart
