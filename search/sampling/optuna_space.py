"""A space and a sampler in Optuna's terms: flat scalar distributions, recorded arguments."""

import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from statistics import fmean
from typing import Any, assert_never

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from search.study.space import Space
from search.study.study import Sampled, SamplerName
from search.study.training import Outcome

Params = dict[str, int | str]

MEMORY = 250  # results that a model is fitted to: with all of them, each trial would cost more


class FlatSpace:
    """Points of a space as Optuna's parameters: the factors that have a choice.

    An ordered factor is an integer, the position of the choice; another is categorical.
    """

    def __init__(self, space: Space) -> None:
        self._space = space
        self.distributions: dict[str, BaseDistribution] = {}
        for factor in space.factors:
            if len(factor.choices) > 1:
                self.distributions[factor.name] = (
                    IntDistribution(0, len(factor.choices) - 1)
                    if factor.ordered
                    else CategoricalDistribution([str(choice) for choice in factor.choices])
                )

    def params(self, point: int) -> Params:
        """Optuna's parameters of a point."""
        params: Params = {}
        for factor, digit in zip(self._space.factors, self._space.digits(point), strict=True):
            if factor.name in self.distributions:
                params[factor.name] = digit if factor.ordered else str(factor.choices[digit])
        return params

    def point(self, params: dict[str, Any]) -> int:
        """Inverse of `params`."""
        digits = []
        for factor in self._space.factors:
            if factor.name not in self.distributions:
                digits.append(0)
            elif factor.ordered:
                digits.append(params[factor.name])
            else:
                digits.append([str(choice) for choice in factor.choices].index(params[factor.name]))
        return self._space.index(tuple(digits))

    def trial(
        self,
        point: int,
        state: TrialState,
        *,
        values: list[float] | None = None,
        curve: Iterable[float] = (),
        marks: dict[str, int] | None = None,
    ) -> FrozenTrial:
        """A point as a trial of Optuna's.

        Args:
            curve: intermediate values, from step 1.
            marks: what a sampler keeps with a trial.
        """
        return create_trial(
            state=state,
            params=self.params(point),
            distributions=self.distributions,
            values=values,
            intermediate_values=dict(enumerate(curve, start=1)),
            system_attrs=marks,
        )


def sampler_arguments(strategy: Sampled) -> dict[str, Any]:
    """What the sampler is made with, besides its seed."""
    match strategy.sampler:
        case "random" | "tpe" | "gp" | "cmaes":
            return {}
        case "qmc":
            return {"scramble": True}
        case "nsga2":  # Optuna's 50 would leave a small study no second generation
            return {"population_size": min(50, max(10, strategy.trials // 10))}
        case _:
            assert_never(strategy.sampler)


def describe(strategy: Sampled) -> str:
    """Class, arguments and seed, for the record."""
    arguments = sampler_arguments(strategy) | {"seed": strategy.sampler_seed}
    inside = ", ".join(f"{name}={value}" for name, value in arguments.items())
    text = f"optuna {optuna.__version__} {_class(strategy.sampler).__name__}({inside})"
    return f"{text} on {MEMORY} results" if fits_a_model(strategy) else text


def fits_a_model(strategy: Sampled) -> bool:
    """Whether a suggestion costs the more the more results there are."""
    return strategy.sampler in ("tpe", "gp")


def make_sampler(strategy: Sampled, *, known: int) -> optuna.samplers.BaseSampler:
    """The sampler of a strategy.

    Args:
        known: results it starts from; a resumed search draws other numbers than a fresh one.
    """
    arguments = sampler_arguments(strategy)
    seed = (strategy.sampler_seed + 7919 * known) % 2**32  # what numpy takes
    if strategy.sampler in ("qmc", "cmaes", "gp"):
        arguments["warn_independent_sampling"] = False
    return _class(strategy.sampler)(seed=seed, **arguments)


def generation_mark(sampler: optuna.samplers.BaseSampler, *, number: int) -> dict[str, int]:
    """For NSGA-II, the generation of the `number`-th stored result; other samplers need none."""
    if not isinstance(sampler, optuna.samplers.NSGAIISampler):
        return {}
    key = sampler._get_generation_key()  # Optuna has no public way to say it
    return {key: max(number, 0) // (sampler.population_size or 50)}


def remembered(study: optuna.Study, *, results: int) -> optuna.Study:
    """A study with the same sampler and so many of the results.

    A quarter are the best (of several objectives, the front), the others ended last.
    """
    states = (TrialState.COMPLETE, TrialState.PRUNED)
    ended = study.get_trials(deepcopy=False, states=states)
    ended.sort(key=lambda trial: str(trial.datetime_complete))
    if len(study.directions) > 1:
        best = study.best_trials
    else:
        complete = [trial for trial in ended if trial.state is TrialState.COMPLETE]
        highest_first = study.direction is optuna.study.StudyDirection.MAXIMIZE
        best = sorted(complete, key=lambda trial: trial.value or 0.0, reverse=highest_first)
    kept = {trial.number for trial in best[: results // 4]}
    latest = [trial.number for trial in ended if trial.number not in kept]
    kept.update(latest[len(kept) - results :])
    copy = optuna.create_study(sampler=study.sampler, directions=study.directions)
    copy.add_trials(trial for trial in ended if trial.number in kept)
    return copy


def verdict(
    outcomes: Iterable[Outcome], metrics: Sequence[str]
) -> tuple[TrialState, list[float], tuple[float, ...]]:
    """What Optuna is told of a network: state, means over the seeds that completed, a pruned curve.

    Args:
        outcomes: of its seeds.
        metrics: that are optimised.
    """
    outcomes = list(outcomes)
    complete = [o for o in outcomes if o.status == "complete"]
    if complete and all(metric in o.values for o in complete for metric in metrics):
        values = [fmean(o.values[metric] for o in complete) for metric in metrics]
        if all(math.isfinite(value) for value in values):
            return TrialState.COMPLETE, values, ()
    curves = [o.curve for o in outcomes if o.status == "pruned" and o.curve]
    if curves and len(metrics) == 1:
        return TrialState.PRUNED, [], curves[0]
    return TrialState.FAIL, [], ()


@contextmanager
def quiet() -> Iterator[None]:
    """Optuna tells of experimental features with warnings; what is used is recorded instead."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=Warning)
        yield


def _class(name: SamplerName) -> Any:
    samplers = optuna.samplers
    match name:
        case "random":
            return samplers.RandomSampler
        case "qmc":
            return samplers.QMCSampler
        case "tpe":
            return samplers.TPESampler
        case "gp":
            return samplers.GPSampler
        case "nsga2":
            return samplers.NSGAIISampler
        case "cmaes":
            return samplers.CmaEsSampler
        case _:
            assert_never(name)
