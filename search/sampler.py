"""Networks chosen by an Optuna sampler through ask and tell; none is trained twice.

The Optuna study lives in memory and is rebuilt from the store. One Optuna trial is one network:
with several seeds it is told the mean when all are in. A suggestion of a network that was seen
before is asked again; when the sampler cannot think of a new one, an unvisited one is drawn at
random. Samplers that fit a model to every trial are given the best and the latest only: their cost
would grow with each trial.
"""

import math
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from statistics import fmean

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

from search.cells import Cell, Outcome
from search.manifest import Manifest, is_bounded, meets_bounds
from search.optuna_space import (
    MEMORY,
    FlatSpace,
    describe,
    fits_a_model,
    generation_mark,
    make_sampler,
    quiet,
    remembered,
)
from search.strategy import Answer
from search.study import Sampled, Study
from stacnet.spec import NetworkSpec

REASKS = 3  # suggestions of known networks in a row before one is drawn at random
GP_REASKS = 1  # a suggestion of the Gaussian process costs a fit
DRAWS = 10_000  # random draws from a space too large to list before it counts as exhausted


@dataclass(kw_only=True)
class _Network:
    """A network that was asked for. `values` is None until Optuna was told, empty if it failed."""

    spec: NetworkSpec
    point: int
    trial: optuna.Trial | None
    begun: set[int] = field(default_factory=set)
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    values: list[float] | None = None


class AskTell:
    """Strategy over one of Optuna's samplers.

    Args:
        study: with a `Sampled` strategy.
        manifest: the networks that may be chosen; None for a space too large to list.
        known: cells with outcomes in order of completion, and begun ones with None.
        first: points to try before the sampler is asked.
    """

    def __init__(
        self,
        study: Study,
        manifest: Manifest | None,
        *,
        known: Iterable[tuple[Cell, Outcome | None]] = (),
        first: Iterable[int] = (),
    ) -> None:
        assert isinstance(study.strategy, Sampled)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._plan, self._study, self._manifest = study.strategy, study, manifest
        self._concurrency = study.strategy.concurrency or 2
        self._flat = FlatSpace(study.space)
        self._first = list(dict.fromkeys(first))[::-1]
        self._networks: dict[str, _Network] = {}
        listed = study.strategy.trials if manifest is None else len(manifest)
        self._limit = min(study.strategy.trials, listed)
        self._queue: list[Cell] = []
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

    def ask(self) -> Answer:
        """A network not asked for before, seed by seed."""
        if not self._queue:
            if len(self._networks) >= self._limit:
                return "done"
            if sum(n.values is None for n in self._networks.values()) >= (
                self._plan.concurrency or 2
            ):
                return "wait"
            with quiet():
                self._forget()
                network = self._propose()
            if network is None:
                return "done"
            self._queue = [self._cell(network, seed) for seed in reversed(self._study.seeds)]
        return self._queue.pop()

    def tell(self, cell: Cell, outcome: Outcome) -> None:
        """One seed of a network has ended."""
        network = self._networks.get(cell.network_id)
        if network is None or network.values is not None or cell.seed not in self._study.seeds:
            return  # not ours: a finalist, or a point outside the space
        network.outcomes[cell.seed] = outcome
        if len(network.outcomes) == len(self._study.seeds):
            with quiet():
                self._tell(network)

    def told(self) -> list[FrozenTrial]:
        """Optuna's finished trials in the order of their asking; see `MEMORY`."""
        return [trial for trial in self._optuna.trials if trial.state.is_finished()]

    def _tell(self, network: _Network) -> None:
        assert network.trial is not None
        state, network.values, curve = self._verdict(network)
        for epoch, value in enumerate(curve, start=1):
            network.trial.report(value, epoch)
        self._optuna.tell(network.trial, network.values or None, state=state)
        network.trial = None

    def _verdict(self, network: _Network) -> tuple[TrialState, list[float], tuple[float, ...]]:
        """State, mean values over the seeds that completed, and the curve of a pruned network."""
        outcomes = list(network.outcomes.values())
        complete = [o for o in outcomes if o.status == "complete"]
        metrics = [objective.metric for objective in self._study.objectives]
        if complete and all(metric in o.values for o in complete for metric in metrics):
            values = [fmean(o.values[metric] for o in complete) for metric in metrics]
            if all(math.isfinite(value) for value in values):
                return TrialState.COMPLETE, values, ()
        curves = [o.curve for o in outcomes if o.status == "pruned" and o.curve]
        if curves and len(metrics) == 1:
            return TrialState.PRUNED, [], curves[0]
        return TrialState.FAIL, [], ()

    def _propose(self) -> _Network | None:
        while self._first:
            network = self._fresh(self._first.pop())
            if network is not None:
                return self._adopt(network)
        for _ in range(GP_REASKS if self._plan.sampler == "gp" else REASKS):
            trial = self._optuna.ask(self._flat.distributions)
            spec = self._study.space.spec(point := self._flat.point(trial.params))
            known = self._networks.get(spec.network_id)
            if known is None and self._is_allowed(spec):
                network = _Network(spec=spec, point=point, trial=trial)
                self._networks[spec.network_id] = network
                return network
            if self._plan.sampler == "gp" and known is not None and known.values:
                self._optuna.tell(trial, known.values)  # else its model would say the same again
            else:
                self._optuna.tell(trial, state=TrialState.FAIL)
        network = next((n for p in self._unvisited if (n := self._fresh(p)) is not None), None)
        return network and self._adopt(network)

    def _forget(self) -> None:
        if fits_a_model(self._plan) and len(self._optuna.get_trials(deepcopy=False)) > 2 * MEMORY:
            self._optuna = remembered(self._optuna, results=MEMORY)
            for network in self._networks.values():
                if network.trial is not None:
                    self._adopt(network)

    def _fresh(self, point: int) -> _Network | None:
        spec = self._study.space.spec(point)
        if spec.network_id in self._networks or not self._is_allowed(spec):
            return None
        return _Network(spec=spec, point=point, trial=None)

    def _adopt(self, network: _Network) -> _Network:
        """Make the network a trial of Optuna's as if it had been suggested."""
        self._optuna.enqueue_trial(self._flat.params(network.point))
        network.trial = self._optuna.ask(self._flat.distributions)
        self._networks[network.spec.network_id] = network
        return network

    def _is_allowed(self, spec: NetworkSpec) -> bool:
        if not is_bounded(self._study):
            return True
        if self._manifest is not None:
            return spec.network_id in self._manifest.members
        from stacnet.cost import price

        return meets_bounds(self._study, price(spec))

    def _shuffled(self) -> Iterator[int]:
        if self._manifest is None:
            size = self._study.space.size()
            return (self._rng.randrange(size) for _ in range(DRAWS))
        points = list(self._manifest.points)
        self._rng.shuffle(points)
        return iter(points)

    def _remember(self, known: list[tuple[Cell, Outcome | None]]) -> None:
        """The networks of the store: told if all their seeds ended, else running trials."""
        seeds = self._study.seeds
        for cell, outcome in known:
            if cell.point is None or cell.seed not in seeds:
                continue
            network = self._networks.setdefault(
                cell.network_id, _Network(spec=cell.spec, point=cell.point, trial=None)
            )
            network.begun.add(cell.seed)
            if outcome is not None:
                network.outcomes[cell.seed] = outcome
                if len(network.outcomes) == len(seeds):
                    self._add_told(network)
        for network in self._networks.values():
            if network.values is None:
                self._adopt(network)
                fresh = [seed for seed in reversed(seeds) if seed not in network.begun]
                self._queue += [self._cell(network, seed) for seed in fresh]

    def _add_told(self, network: _Network) -> None:
        state, network.values, curve = self._verdict(network)
        self._complete += bool(network.values)
        self._optuna.add_trial(
            create_trial(
                state=state,
                params=self._flat.params(network.point),
                distributions=self._flat.distributions,
                values=network.values or None,
                intermediate_values=dict(enumerate(curve, start=1)),
                system_attrs=generation_mark(self._optuna.sampler, number=self._complete - 1),
            )
        )

    def _cell(self, network: _Network, seed: int) -> Cell:
        return Cell(
            spec=network.spec,
            protocol_id=self._study.protocol.protocol_id,
            seed=seed,
            point=network.point,
            suggested_by=self._suggested_by,
        )
