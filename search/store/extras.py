"""What was added to a study: more trials, promotions, warm starts, a prior, finalists."""

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from search.errors import StoreError, StudyError
from search.store.manifest import load_or_list
from search.store.own import ranking
from search.store.part import KEY
from search.store.sealed import unseal
from search.store.storage import Storage
from search.store.store import Store
from search.study.metrics import METRICS
from search.study.networks import Networks
from search.study.prior import Prior
from search.study.seeds import split_seeds
from search.study.space import Space
from search.study.study import Sampled, Study
from search.study.training import Training, id_of
from search.study.twins import widened_twins
from stacnet.spec import AttentionSpec, NetworkSpec, spec_from_dict

FILE = "extras.json"
PICKS_FILE = "picks.json"
SELECTED = "selected"  # reason of the finalist that a comparison measures regret from


@dataclass(frozen=True, kw_only=True)
class Finalist:
    """A network that gets the fresh seeds, and why."""

    spec: dict[str, Any]
    reason: str


@dataclass(frozen=True, kw_only=True)
class Extras:
    """Additions to a study; `study.json` itself never changes.

    Args:
        trials: more networks for a sampled study.
        promoted: training ids of pruned trainings that are trained to their end.
        first: points that are tried before the sampler is asked.
        prior: networks that are tried at its turns.
        finalists: networks that get the study's fresh seeds.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    trials: int = 0
    promoted: tuple[str, ...] = ()
    first: tuple[int, ...] = ()
    prior: Prior | None = None
    finalists: tuple[Finalist, ...] = ()


_ADAPTER = TypeAdapter(Extras)  # pydantic stands at the JSON boundary only


def read_extras(storage: Storage) -> Extras:
    """The additions so far.

    Raises:
        StoreError: the file is damaged: what was added cannot be told.
    """
    source = f"{storage.address}/{FILE}"
    try:
        extras = _ADAPTER.validate_python(storage.read_json(FILE))
        for one in extras.finalists:
            spec_from_dict(one.spec)
    except FileNotFoundError:
        return Extras()
    except StoreError as error:
        raise StoreError(f"{error}; set it aside with: stac repair {storage.address}") from None
    except ValidationError as error:
        detail = error.errors()[0]
        where = ".".join(map(str, detail["loc"]))
        raise StoreError(f"{source}: {where}: {detail['msg']}, got {detail['input']!r}") from None
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{source}: finalists must be networks, got {error}") from None
    return extras


def write_extras(storage: Storage, extras: Extras) -> None:
    """Keep the additions."""
    storage.write_json(FILE, asdict(extras))


def extended(study: Study, extras: Extras) -> Study:
    """The study as it is driven: with the trials that were added."""
    if not isinstance(study.strategy, Sampled):
        return study
    trials = study.strategy.trials + extras.trials
    return replace(study, strategy=replace(study.strategy, trials=trials))


def with_more_trials(store: Store, *, trials: int, promote: int) -> Extras:
    """Additions after `stac extend`.

    Args:
        trials: more networks.
        promote: how many of the best pruned trainings to train to their end.

    Raises:
        StudyError: the study is not sampled, or there is nothing to add.
    """
    study, extras = store.study(), read_extras(store.storage)
    if not isinstance(study.strategy, Sampled):
        raise StudyError(f"only a sampled study can be extended, got {study.strategy.kind}")
    if trials < 0 or promote < 0 or trials + promote == 0:
        raise StudyError(f"an extension must add something, got {trials=} {promote=}")
    table = store.trainings([*KEY, "status", "val_acc_last"])
    pruned = [row for row in table.to_pylist() if row["status"] == "pruned"]
    pruned.sort(key=lambda row: -(row["val_acc_last"] or 0.0))
    best = (id_of((row["network_id"], row["protocol_id"], row["seed"])) for row in pruned[:promote])
    promoted = dict.fromkeys([*extras.promoted, *best])
    return replace(extras, trials=extras.trials + trials, promoted=tuple(promoted))


def with_finalists(store: Store) -> Extras:
    """Additions after `stac finalists`: the best, the picks, vanilla and SE, and widened twins.

    The best are chosen on the study's own seeds, so that the fresh ones judge them unbiased; the
    one that a comparison measures regret from, chosen by the seeds that select, is among them.
    Twins are those of the best network and of the primary rule's pick.
    """
    study, extras = store.study(), read_extras(store.storage)
    chosen = {one.reason: one for one in extras.finalists}
    base = study.space.base
    attention = AttentionSpec(kind="se", reduction=study.space.reductions[0])
    references = {
        "vanilla": base,
        "SE everywhere": replace(base, attention=(attention,) * len(base.blocks)),
    }
    for reason, spec in _best(store, study).items():
        chosen.setdefault(reason, Finalist(spec=spec.to_dict(), reason=reason))
    for name, spec in (references | _picks(store)).items():
        chosen[name] = Finalist(spec=spec.to_dict(), reason=name)
    for whose in compared_with_twins(study):
        if whose in chosen:
            chosen |= _twins(chosen[whose], reduction=study.space.reductions[0])
    return replace(extras, finalists=tuple(chosen.values()))


def compared_with_twins(study: Study) -> tuple[str, str]:
    """Reasons of the finalists that get widened twins."""
    return "top 1", f"pick {study.primary_rule}"


def _twins(of: Finalist, *, reduction: int) -> dict[str, Finalist]:
    found = widened_twins(spec_from_dict(of.spec), reduction=reduction)
    named = ((f"{name} of {of.reason}", twin) for name, twin in found if twin is not None)
    return {name: Finalist(spec=twin.to_dict(), reason=name) for name, twin in named}


def finalist_trainings(study: Study, extras: Extras, among: Networks | None) -> list[Training]:
    """The trainings of the finalists, each network once with each fresh seed."""
    trainings: dict[tuple, Training] = {}
    for one in extras.finalists:
        spec = spec_from_dict(one.spec)
        for seed in study.finalists.seeds:
            training = Training(
                spec=spec,
                protocol_id=study.protocol.protocol_id,
                seed=seed,
                point=None if among is None else among.point(spec.network_id),
                suggested_by=f"finalist: {one.reason}",
            )
            trainings.setdefault(training.key, training)
    return list(trainings.values())


def warm_points(text: str | bytes, space: Space, *, source: str) -> tuple[int, ...]:
    """Points to begin with, from `picks.json` or from a JSON list of network descriptions.

    Raises:
        StudyError: a network is not in the space.
    """
    points = []
    for name, spec in _named_specs(text, source=source).items():
        point = space.find(spec)
        if point is None:
            raise StudyError(f"{source}: {name}: a warm start must be in the study's space")
        points.append(point)
    return tuple(dict.fromkeys(points))


def _named_specs(text: str | bytes, *, source: str) -> dict[str, NetworkSpec]:
    try:
        plain = unseal(text, source=source)
        if isinstance(plain, dict):
            return {pick["name"]: spec_from_dict(pick["spec"]) for pick in plain["picks"]}
        return {f"[{i}]": spec_from_dict(spec) for i, spec in enumerate(plain)}
    except StoreError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise StudyError(
            f"{source}: must be picks.json or a list of networks, got {error}"
        ) from None


def _picks(store: Store) -> dict[str, NetworkSpec]:
    if not store.storage.exists(PICKS_FILE):
        return {}
    source = f"{store.address}/{PICKS_FILE}"
    found = _named_specs(store.storage.read(PICKS_FILE), source=source)
    return {f"pick {name}": spec for name, spec in found.items()}


def _best(store: Store, study: Study) -> dict[str, NetworkSpec]:
    """The best on all seeds, and the one that a comparison selects: the best on half of them."""
    columns = dict.fromkeys([*KEY, "status", "macs", METRICS[study.objectives[0].metric]])
    table, among = store.trainings(list(columns)), load_or_list(store.storage, study)
    selecting = replace(study, seeds=split_seeds(study.seeds, study.seeds)[0])
    top = ranking(table, study, among)[: study.finalists.top]
    names = {f"top {rank}": name for rank, (name, _) in enumerate(top, start=1)}
    names |= dict(zip([SELECTED], dict(ranking(table, selecting, among)), strict=False))
    rows = store.trainings(["network_id", "spec_json"])
    specs = dict(zip(*(rows[name].to_pylist() for name in rows.column_names), strict=True))
    return {reason: spec_from_dict(json.loads(specs[name])) for reason, name in names.items()}
