"""From a study's trained vanilla networks to map and picks; results of the search are not read."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count

import torch
from torch import nn

from analysis.look.classmap import ClassRepMap, Estimator, Place
from analysis.look.classrepsim import ProbeSet
from analysis.look.controls import map_with_controls
from analysis.look.probeset import probe_set
from analysis.look.threads import threads
from analysis.predict.baselines import baseline_picks
from analysis.predict.certainty import pick_probability
from analysis.predict.mapfile import map_to_parquet
from analysis.predict.picks import Family, Pick, Picks, make_pick
from analysis.predict.rules import RULES, rule_scores, with_trained_headroom
from analysis.telling import Tell, quietly
from search.store.past import Past
from search.store.rows import study_and_space_id
from search.store.store import Store
from search.study.networks import Networks
from search.study.seeds import seeds_to_look_at
from search.study.study import Study
from search.study.training import id_of
from stacnet.data.images import load
from stacnet.network import build, last_map, taps
from stacnet.spec import NetworkSpec

UNTRAINED = 1_000_003  # added to a seed: the untrained twin starts from other weights
# Maps other than the trained k-NN one, on which the primary rule and R1 are tried too.
OTHER_MAPS: tuple[tuple[str, Estimator, Family], ...] = (
    ("untrained", "knn", "control"),
    ("pixels", "knn", "control"),
    ("permuted labels", "knn", "control"),
    ("trained", "ncm", "map"),
    ("trained", "ridge", "map"),
)


class NoVanillaError(ValueError):
    """The study has not trained its vanilla network, which a sampled study need not."""


@dataclass(frozen=True, kw_only=True)
class Vanilla:
    """One trained vanilla network of the store."""

    training_id: str
    seed: int
    network: nn.Module
    device_s: float
    spec: NetworkSpec

    def untrained(self) -> nn.Module:
        """Its twin from other weights."""
        return build(self.spec, seed=self.seed + UNTRAINED)


def predict(
    store: Store,
    *,
    images: int = 1000,
    device: torch.device | None = None,
    tell: Tell = quietly,
) -> tuple[ClassRepMap, Picks]:
    """Look at the study's vanilla networks; write map.parquet and picks.json into its folder.

    Meanwhile torch has as many threads as a training of the study: their seconds are compared.

    Args:
        images: probe images, from the validation split (see `probe_set`).
        device: where the forward passes run; the CPU by default.
        tell: is told of each pass of the images through a network.

    Raises:
        NoVanillaError: the store holds no weights of the vanilla network.
        ValueError: the data has too few validation images.
    """
    store.storage.assert_changeable("map.parquet")  # before minutes are spent
    past = Past(store)
    with threads(past.study.resources.cpus):
        return _predict(past, images=images, device=device or torch.device("cpu"), tell=tell)


def _predict(
    past: Past, *, images: int, device: torch.device, tell: Tell
) -> tuple[ClassRepMap, Picks]:
    store, study, among = past.store, past.study, past.networks
    splits = load(study.protocol.data)
    found = vanilla_networks(store, study)
    started = time.perf_counter()
    probes = _told(probe_set(splits, images=images, device=device), tell, networks=len(found))
    chart = map_with_controls(
        [(v.network.to(device), v.untrained().to(device)) for v in found],
        probes,
        places=places(study.space.base),
        last=last_map(study.space.base),
        scales=map_scales(study),
    )
    look_s = time.perf_counter() - started
    tell("scoring networks by every rule", 0, 0)
    vanilla_s = sum(v.device_s for v in found)
    made = rule_picks(study, chart, among, vanilla_s=vanilla_s, look_s=look_s)
    made += baseline_picks(among, splits, primary=made[RULES.index(study.primary_rule)])
    picks = _picks(study, found, among, look_s=look_s, made=made)
    store.storage.write("map.parquet", map_to_parquet(chart))
    store.storage.write("picks.json", picks.to_json().encode())
    return chart, picks


def _picks(
    study: Study, found: list[Vanilla], among: Networks, *, look_s: float, made: list[Pick]
) -> Picks:
    study_id, space_id = study_and_space_id(study)
    return Picks(
        space_id=space_id,
        study_id=study_id,
        protocol_id=study.protocol.protocol_id,
        primary_rule=study.primary_rule,
        weights=tuple(v.training_id for v in found),
        network_ids=among.network_ids,
        vanilla_s=sum(v.device_s for v in found),
        look_s=look_s,
        picks=tuple(made),
    )


def _told(probes: ProbeSet, tell: Tell, *, networks: int) -> ProbeSet:
    """Each pass is told of: of the pixels, and per network trained, calibrating, untrained."""
    total, passes = 3 * networks + 1, count(1)

    def batches() -> Iterator[torch.Tensor]:
        number = next(passes)
        tell("looking at networks", number - 1, total)
        yield from probes.batches()
        if number == total:
            tell("judging the map", 0, 0)

    return replace(probes, batches=batches)


def places(spec: NetworkSpec) -> list[Place]:
    """Rows of the map of a network: its stages, then every block."""
    names = taps(spec)
    stages = [Place(f"stage {t + 1}", t, blocks) for t, blocks in enumerate(names)]
    return stages + [Place(name, -1, (name,)) for blocks in names for name in blocks]


def map_scales(study: Study) -> list[int]:
    """Scales at which the map is read: the powers of two that fit, and every scale of the space."""
    largest = study.space.base.map_sizes[0]
    powers = {2**power for power in range(largest.bit_length()) if 2**power <= min(largest, 8)}
    typed = {s for choices in study.space.stage_scales for s in choices if isinstance(s, int)}
    return sorted(powers | typed)


def vanilla_networks(store: Store, study: Study) -> list[Vanilla]:
    """The trained vanilla networks whose weights the store holds, by seed.

    Only those of seeds that select: a map that had seen the seeds that measure would be judged on
    what it knows.

    Raises:
        NoVanillaError: there is none.
    """
    base = study.space.base
    table = store.trainings(["network_id", "protocol_id", "seed", "status", "device_s"])
    wanted = (base.network_id, study.protocol.protocol_id, "complete")
    rows = {
        row["seed"]: row
        for row in sorted(table.to_pylist(), key=lambda row: row["seed"])
        if (row["network_id"], row["protocol_id"], row["status"]) == wanted
    }
    found = []
    for row in map(rows.__getitem__, seeds_to_look_at(study.seeds, tuple(rows))):
        training_id = id_of((row["network_id"], row["protocol_id"], row["seed"]))
        state = store.weights(training_id)
        if state is None:
            continue
        network = build(base, seed=row["seed"])
        network.load_state_dict(state)
        found.append(
            Vanilla(
                training_id=training_id,
                seed=row["seed"],
                network=network,
                device_s=row["device_s"] or 0.0,
                spec=base,
            )
        )
    if not found:
        raise NoVanillaError(
            f"a map needs the weights of the trained vanilla network {base.network_id}, "
            f"got none in {store.address}/weights; train it with: "
            f"stac classrepsim {store.address} --train"
        )
    return found


def rule_picks(
    study: Study, chart: ClassRepMap, among: Networks, *, vanilla_s: float, look_s: float
) -> list[Pick]:
    """Every rule on the trained map; the primary rule and R1 on every other map."""
    made = [
        make_pick(rule, "rule", rule_scores(rule, chart, among), among, cost_s=vanilla_s + look_s)
        for rule in RULES
    ]
    primary = study.primary_rule
    sure = pick_probability(primary, chart, among)
    made = [replace(pick, probability=sure) if pick.name == primary else pick for pick in made]
    for source, estimator, family in OTHER_MAPS:
        label = source if family == "control" else estimator
        cost_s = look_s + (vanilla_s if source == "trained" else 0.0)
        for rule in dict.fromkeys((primary, "R1")):
            score_N = rule_scores(rule, chart, among, source=source, estimator=estimator)
            made.append(make_pick(f"{rule} on {label}", family, score_N, among, cost_s=cost_s))
    by_dimension = tuple(replace(r, crs=-r.dimension) for r in chart.readings)
    score_N = rule_scores("R1", replace(chart, readings=by_dimension), among)
    name, cost_s = "lowest intrinsic dimension", vanilla_s + look_s
    made.append(make_pick(name, "map", score_N, among, cost_s=cost_s))
    for source in ("untrained", "pixels"):  # where to look, from here; whether at all, from there
        fair = with_trained_headroom(chart, source=source)
        score_N = rule_scores(primary, fair, among, source=source)
        name = f"{primary} on {source}, trained headroom"
        made.append(make_pick(name, "control", score_N, among, cost_s=vanilla_s + look_s))
    return made
