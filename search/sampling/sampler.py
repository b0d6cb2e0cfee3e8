"""Networks chosen by an Optuna sampler through ask and tell; none is trained twice.

The Optuna study lives in memory and is rebuilt from the store. One Optuna trial is one network:
with several seeds it is told the mean when all are in. A suggestion of a network that was seen
before is asked again; when the sampler cannot think of a new one, an unvisited one is drawn at
random. Samplers that fit a model to every trial are given the best and the latest only: their cost
would grow with each trial.
"""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import optuna
from optuna.trial import FrozenTrial, TrialState

from search.sampling.optuna_space import (
    MEMORY,
    FlatSpace,
    describe,
    fits_a_model,
    generation_mark,
    make_sampler,
    quiet,
    remembered,
    verdict,
)
from search.sampling.strategy import Answer
from search.study.networks import Networks, meets_bounds, num_networks
from search.study.prior import HINTED, Prior, Suggestions
from search.study.study import Sampled, Study
from search.study.training import Outcome, Training
from stacnet.spec import NetworkSpec

REASKS = 3  # suggestions of known networks in a row before one is drawn at random
GP_REASKS = 1  # a suggestion of the Gaussian process costs a fit
DRAWS = 10_000  # random draws from a space too large to list before it counts as exhausted


@dataclass(kw_only=True)
class _Network:
    """A network that was asked for. `values` is None until Optuna was told, empty if it failed.

    `trial` is Optuna's, or only its number; `by` is empty if it was the sampler that chose it.
    """

    spec: NetworkSpec
    point: int
    trial: optuna.Trial | int | None = None
    by: str = ""
    begun: set[int] = field(default_factory=set)
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    values: list[float] | None = None


class AskTell:
    """Strategy over one of Optuna's samplers.

    Args:
        study: with a `Sampled` strategy.
        among: the networks that may be chosen; None for a space too large to list.
        known: trainings with outcomes in order of completion, and begun ones with None.
        first: points to try before the sampler is asked.
        prior: networks that are tried at its turns.
    """

    def __init__(
        self,
        study: Study,
        among: Networks | None,
        *,
        known: Iterable[tuple[Training, Outcome | None]] = (),
        first: Iterable[int] = (),
        prior: Prior | None = None,
    ) -> None:
        assert isinstance(study.strategy, Sampled)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._plan, self._study, self._among = study.strategy, study, among
        self._concurrency = study.strategy.concurrency or 2
        self._flat = FlatSpace(study.space)
        self._metrics = [objective.metric for objective in study.objectives]
        self._suggestions = Suggestions(first, prior)
        self._networks: dict[str, _Network] = {}
        self._open: dict[str, _Network] = {}  # asked for, but not told to Optuna
        self._finished = 0  # trials of Optuna's study that are
        self._is_exhausted = False
        self._limit = num_networks(study, among)
        self._queue: list[Training] = []
        self._complete = 0  # results from the store
        self._suggested_by = describe(study.strategy)
        known = list(known)
        self._rng = random.Random(study.strategy.sampler_seed + 7919 * len(known))
        self._unvisited = self._shuffled()
        with quiet():
            self._optuna = optuna.create_study(
                sampler=make_sampler(study.strategy, known=len(known)),
                directions=[objective.direction for objective in study.objectives],
            )
            self._remember(known)

    def ready(self) -> int:
        """Seeds of networks that were begun, and all of as many more as may be out at once."""
        fresh = 0 if self._is_exhausted else self._limit - len(self._networks)
        if self._plan.concurrency is not None:
            fresh = min(fresh, self._plan.concurrency - len(self._open))
        return len(self._queue) + max(fresh, 0) * len(self._study.seeds)

    def ask(self) -> Answer:
        """A network not asked for before, seed by seed."""
        if not self._queue and self.ready():
            with quiet():
                self._forget()
                network = self._propose()
            self._is_exhausted = network is None
            if network is not None:
                self._queue = [
                    self._training(network, seed) for seed in reversed(self._study.seeds)
                ]
        if self._queue:
            return self._queue.pop()
        is_all = self._is_exhausted or len(self._networks) >= self._limit
        return "done" if is_all else "wait"

    def tell(self, training: Training, outcome: Outcome) -> None:
        """One seed of a network has ended."""
        network = self._networks.get(training.network_id)
        if network is None or network.values is not None or training.seed not in self._study.seeds:
            return  # not ours: a finalist, or a point outside the space
        network.outcomes[training.seed] = outcome
        if len(network.outcomes) == len(self._study.seeds):
            with quiet():
                self._tell(network)

    def told(self) -> list[FrozenTrial]:
        """Optuna's finished trials in the order of their asking; see `MEMORY`."""
        return [trial for trial in self._optuna.trials if trial.state.is_finished()]

    def _tell(self, network: _Network) -> None:
        assert network.trial is not None
        state, network.values, curve = verdict(network.outcomes.values(), self._metrics)
        if isinstance(network.trial, int) and curve:  # a number has no way to report a curve
            self._optuna.tell(network.trial, state=TrialState.FAIL)
            self._add_told(network)
        else:
            for epoch, value in enumerate(curve, start=1):
                network.trial.report(value, epoch)  # type: ignore[union-attr]
            self._optuna.tell(network.trial, network.values or None, state=state)
        network.trial = None
        self._open.pop(network.spec.network_id)
        self._finished += 1

    def _propose(self) -> _Network | None:
        for point, by in self._suggestions.after(len(self._networks)):
            network = self._fresh(point, by=by)
            if network is not None:
                return self._adopt(network)
        for _ in range(GP_REASKS if self._plan.sampler == "gp" else REASKS):
            trial = self._optuna.ask(self._flat.distributions)
            spec = self._study.space.spec(point := self._flat.point(trial.params))
            known = self._networks.get(spec.network_id)
            if known is None and self._is_allowed(spec):
                network = _Network(spec=spec, point=point, trial=trial)
                self._networks[spec.network_id] = self._open[spec.network_id] = network
                return network
            self._finished += 1
            if self._plan.sampler == "gp" and known is not None and known.values:
                self._optuna.tell(trial, known.values)  # else its model would say the same again
            else:
                self._optuna.tell(trial, state=TrialState.FAIL)
        network = next((n for p in self._unvisited if (n := self._fresh(p)) is not None), None)
        return network and self._adopt(network)

    def _forget(self) -> None:
        if not fits_a_model(self._plan) or self._finished <= 2 * MEMORY:
            return
        self._optuna = remembered(self._optuna, results=MEMORY)
        self._finished = len(self._optuna.get_trials(deepcopy=False))
        running = [network for network in self._open.values() if network.trial is not None]
        for number, network in enumerate(running, start=self._finished):
            self._optuna.add_trial(self._flat.trial(network.point, TrialState.RUNNING))
            network.trial = number

    def _fresh(self, point: int, *, by: str = "") -> _Network | None:
        spec = self._study.space.spec(point)
        if spec.network_id in self._networks or not self._is_allowed(spec):
            return None
        return _Network(spec=spec, point=point, by=by)

    def _adopt(self, network: _Network) -> _Network:
        """Make the network a trial of Optuna's as if it had been suggested."""
        self._optuna.enqueue_trial(self._flat.params(network.point))
        network.trial = self._optuna.ask(self._flat.distributions)
        self._networks[network.spec.network_id] = network
        self._open[network.spec.network_id] = network
        return network

    def _is_allowed(self, spec: NetworkSpec) -> bool:
        if self._among is not None:
            return spec.network_id in self._among.row
        return meets_bounds(self._study.space, spec)

    def _shuffled(self) -> Iterator[int]:
        if self._among is None:
            size = self._study.space.size()
            return (self._rng.randrange(size) for _ in range(DRAWS))
        points = list(self._among.points)
        self._rng.shuffle(points)
        return iter(points)

    def _remember(self, known: list[tuple[Training, Outcome | None]]) -> None:
        """The networks of the store: told if all their seeds ended, else running trials."""
        seeds = self._study.seeds
        for training, outcome in known:
            if training.point is None or training.seed not in seeds:
                continue
            by = said if (said := training.suggested_by).startswith(HINTED) else ""
            network = self._networks.setdefault(
                training.network_id, _Network(spec=training.spec, point=training.point, by=by)
            )
            network.begun.add(training.seed)
            if outcome is not None:
                network.outcomes[training.seed] = outcome
                if len(network.outcomes) == len(seeds):
                    self._add_told(network)
        for network in self._networks.values():
            if network.values is None:
                self._adopt(network)
                fresh = [seed for seed in reversed(seeds) if seed not in network.begun]
                self._queue += [self._training(network, seed) for seed in fresh]

    def _add_told(self, network: _Network) -> None:
        state, network.values, curve = verdict(network.outcomes.values(), self._metrics)
        self._complete += bool(network.values)
        self._finished += 1
        told = {"values": network.values or None, "curve": curve}
        marks = generation_mark(self._optuna.sampler, number=self._complete - 1)
        self._optuna.add_trial(self._flat.trial(network.point, state, **told, marks=marks))

    def _training(self, network: _Network, seed: int) -> Training:
        return Training(
            spec=network.spec,
            protocol_id=self._study.protocol.protocol_id,
            seed=seed,
            point=network.point,
            suggested_by=network.by or self._suggested_by,
        )
