"""Files that tell a sampled study where to look first: warm-start networks, picks as a prior."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.errors import StoreError, StudyError
from search.store.extras import warm_points
from search.store.sealed import unseal
from search.study.networks import networks
from search.study.prior import Prior, ranked
from search.study.study import Sampled, Study


@dataclass(frozen=True, kw_only=True)
class Hints:
    """What a command names; empty for nothing.

    Args:
        warm_start: file of networks that are tried first.
        prior: picks.json, for the scores of the study's primary rule; or `picks.json:PREDICTOR`.
    """

    warm_start: str = ""
    prior: str = ""

    def read(self, study: Study) -> dict[str, Any]:
        """The fields of `Extras` that they fill.

        Raises:
            ValueError: a file is not there or does not fit, or the study is not sampled.
        """
        found: dict[str, Any] = {}
        if self.warm_start:
            text, source = Path(self.warm_start).read_bytes(), self.warm_start
            found["first"] = warm_points(text, study.space, source=source)
        if self.prior:
            file, predictor = self.prior, ""
            if ":" in file and not Path(file).exists():
                file, _, predictor = file.rpartition(":")
            text = Path(file).read_bytes()
            found["prior"] = prior_of(study, text, predictor, source=file)
        return found


def prior_of(study: Study, text: str | bytes, predictor: str = "", *, source: str) -> Prior:
    """The prior that a predictor of `picks.json` gives a sampled study.

    Args:
        predictor: its name there; by default that of the study's primary rule.
        source: file name, for the error.

    Raises:
        StudyError: the study is not sampled, the picks are of other networks, or the predictor is
            not among them or scores none.
    """
    if not isinstance(study.strategy, Sampled):
        raise StudyError(f"only a sampled study can have a prior, got {study.strategy.kind}")
    name = predictor or study.primary_rule
    scores = _scores(study, text, name, source=source)
    points = networks(study.space).points
    try:
        prior = ranked(name, points, scores, seed=study.strategy.sampler_seed)
    except (TypeError, ValueError) as error:
        rule = f"{source}: {name}: scores must be a number or null for each network"
        raise StudyError(f"{rule}, got {error}") from None
    if not prior.points:
        raise StudyError(f"{source}: {name}: a prior must score a network, got no finite score")
    return prior


def _scores(study: Study, text: str | bytes, name: str, *, source: str) -> list[float | None]:
    try:
        plain = unseal(text, source=source)
        of = {pick["name"]: pick["scores"] for pick in plain["picks"]}
        network_ids = tuple(plain["network_ids"])
    except StoreError:
        raise
    except (KeyError, TypeError) as error:
        raise StudyError(f"{source}: a prior must be picks.json, got {error!r}") from None
    if name not in of:
        raise StudyError(f"{source}: a prior must be one of {sorted(of)}, got {name!r}")
    wanted = networks(study.space).network_ids
    if network_ids != wanted:
        raise StudyError(
            f"{source}: network_ids: a prior must be of the {len(wanted)} networks of the study's "
            f"space in order, got {len(network_ids)} that differ"
        )
    return of[name]
