"""One training run: network, recipe, data and seed become epoch results; resumable at any step.

Everything random is a function of (seed, epoch, step), so a checkpoint needs no generator state,
and a resumed run equals an unbroken one: bit for bit on the same kind of CPU and thread count.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stacnet import recipe
from stacnet.checkpoint import CheckpointError
from stacnet.data.augment import Scaling, augment
from stacnet.data.feed import Feed
from stacnet.data.images import Splits
from stacnet.evaluate import batch_answers, mean_of, sums_of
from stacnet.fit import check_fit
from stacnet.latency import latency
from stacnet.learner import Learner
from stacnet.protocol import EpochResult, Protocol
from stacnet.spec import NetworkSpec

LATENCY_S = 0.1  # how long passes are timed
CHECK_EVERY = 20  # steps between looks at the loss; each look waits for the device
COMPILE_FROM_STEPS = 3000  # on a GPU: compiling takes about a minute
ORDER, AUGMENT = 0, 1  # what a random stream is for
Split = Literal["train", "val", "test"]


class Diverged(RuntimeError):  # noqa: N818 - an outcome of a run, nobody's mistake
    """The training loss is not finite any more."""


class Trainer:
    """A training run that can stop after any step and go on from its checkpoint.

    Args:
        spec: the network; its input and classes must be the data's.
        protocol: the recipe.
        splits: the data.
        seed: of weights, data order and augmentation.
        device: a torch device.
        threads: of torch on the CPU; holds for the whole process.

    Raises:
        ValueError: network, recipe and data do not fit each other.
    """

    def __init__(
        self,
        spec: NetworkSpec,
        protocol: Protocol,
        splits: Splits,
        *,
        seed: int = 0,
        device: str = "cpu",
        threads: int = 1,
    ) -> None:
        check_fit(spec, protocol, splits)
        torch.set_num_threads(threads)
        self.results: list[EpochResult] = []
        self._spec, self._protocol, self._splits, self._seed = spec, protocol, splits, seed
        self._identity = [spec.network_id, protocol.protocol_id, seed]
        self._device = torch.device(device)
        self._scaling = Scaling(splits.mean_C, splits.std_C, device=self._device)
        self._feeds: dict[Split, Feed] = {}
        self._steps = len(splits.train) // protocol.batch_size
        is_long = self._steps * protocol.epochs >= COMPILE_FROM_STEPS
        compiled = is_long and self._device.type == "cuda"
        self._learner = Learner(spec, protocol, seed=seed, device=self._device, compiled=compiled)
        self._cum_s = 0.0
        self._resumed = False
        self._begin_epoch()

    @property
    def done(self) -> bool:
        """Whether all epochs are over."""
        return len(self.results) == self._protocol.epochs

    @property
    def model(self) -> nn.Module:
        """The network that is trained."""
        return self._learner.model

    @property
    def evaluated_model(self) -> nn.Module:
        """The network that is evaluated and published: the averaged one if the recipe averages."""
        return self._learner.evaluated_model

    def run(self, *, budget_s: float = math.inf) -> EpochResult | None:
        """Train at least one step, until an epoch ends or about `budget_s` seconds are over.

        Returns:
            The result of the epoch that ended, or None if time was over before.

        Raises:
            Diverged: the loss is not finite.
            ValueError: the run is done.
        """
        if self.done:
            raise ValueError(f"a finished run cannot go on, got {len(self.results)} epochs")
        start = time.perf_counter()
        self._train(deadline=start + budget_s)
        trained = time.perf_counter()
        self._train_s += trained - start
        if self._step < self._steps:
            return None
        found = self._validate(deadline=start + budget_s)
        self._eval_s += time.perf_counter() - trained
        return found and self._end_epoch(*found)

    def evaluate(self, split: Split) -> tuple[float, NDArray[np.bool_]]:
        """Mean cross-entropy (nats) on a split, without augmentation, and which answers are right.

        Returns:
            The loss, and bool (N,), image by image in the split's order.
        """
        losses, correct = zip(*self._answers(split), strict=True)
        correct_N = torch.cat(correct).cpu().numpy()
        return float(torch.stack(losses).sum()) / len(correct_N), correct_N

    def latency_s(self) -> float:
        """Forward pass of one image on the device of the run, in fp32, seconds."""
        return latency(self._spec, device=self._device, min_time_s=LATENCY_S).image_s

    def state_dict(self) -> dict[str, Any]:
        """All a run needs to go on: plain values, and tensors that training goes on changing."""
        return {
            "identity": self._identity,
            **self._learner.state_dict(),
            "step": self._step,
            "sums": self._sums,
            "validated": list(self._validated),
            "seconds": [self._train_s, self._eval_s, self._cum_s],
            "results": [asdict(result) for result in self.results],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken.

        Raises:
            CheckpointError: it belongs to another network, recipe or seed.
        """
        if state["identity"] != self._identity:
            raise CheckpointError(
                f"checkpoint must be of network, recipe and seed {self._identity}, "
                f"got {state['identity']}"
            )
        self._learner.load_state_dict(state)
        self.results = [EpochResult(**result) for result in state["results"]]
        self._begin_epoch()
        self._step = state["step"]
        self._sums = state["sums"].to(self._device, copy=True)
        self._validated = [sums.to(self._device) for sums in state["validated"]]
        self._train_s, self._eval_s, self._cum_s = state["seconds"]
        self._resumed = True

    def _begin_epoch(self) -> None:
        self._step = 0
        self._sums = torch.zeros(2, dtype=torch.float64, device=self._device)  # loss, correct
        self._train_s = self._eval_s = 0.0
        self._batches: Iterator[tuple[Tensor, Tensor]] | None = None
        self._validation: Iterator[Tensor] | None = None
        self._validated: list[Tensor] = []

    def _train(self, *, deadline: float) -> None:
        self.model.train()
        if self._batches is None:
            size = self._protocol.batch_size
            order_N = self._rng(ORDER, len(self.results)).permutation(len(self._splits.train))
            remaining_N = order_N[self._step * size : self._steps * size]
            self._batches = self._feed("train").batches(remaining_N, size=size)
        for x_BCHW, y_B in self._batches:
            self._learn(x_BCHW, y_B)
            if self._step % CHECK_EVERY == 0 or self._step == self._steps:
                self._check_finite()
            if time.perf_counter() >= deadline:
                return

    def _learn(self, x_BCHW: Tensor, y_B: Tensor) -> None:
        step = len(self.results) * self._steps + self._step
        rng = self._rng(AUGMENT, step)
        batch = augment(x_BCHW, y_B, protocol=self._protocol, scaling=self._scaling, rng=rng)
        rate = recipe.learning_rate(self._protocol, step=step, steps_per_epoch=self._steps)
        self._sums += self._learner.learn(batch, rate=rate)
        self._step += 1

    def _check_finite(self) -> None:
        loss = float(self._sums[0])
        if not math.isfinite(loss):
            raise Diverged(
                f"the training loss must stay finite, got {loss} in epoch "
                f"{len(self.results) + 1} by step {self._step} of {self._steps}"
            )

    def _validate(self, *, deadline: float) -> tuple[float, float] | None:
        if self._validation is None:
            self._validation = sums_of(self._answers("val", done=len(self._validated)))
        for sums in self._validation:
            self._validated.append(sums)
            if time.perf_counter() >= deadline:
                return None
        return mean_of(self._validated, num=len(self._splits.val))

    def _end_epoch(self, val_loss: float, val_acc: float) -> EpochResult:
        num = self._steps * self._protocol.batch_size
        last = (len(self.results) + 1) * self._steps - 1
        train_loss, train_acc = (self._sums / num).tolist()
        self._cum_s += self._train_s + self._eval_s
        result = EpochResult(
            epoch=len(self.results) + 1,
            train_loss=train_loss,
            train_acc=train_acc,
            val_loss=val_loss,
            val_acc=val_acc,
            lr=recipe.learning_rate(self._protocol, step=last, steps_per_epoch=self._steps),
            train_s=self._train_s,
            eval_s=self._eval_s,
            cum_s=self._cum_s,
            resumed=self._resumed,
        )
        self.results.append(result)
        self._resumed = False
        self._begin_epoch()
        return result

    def _answers(self, split: Split, *, done: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        return batch_answers(
            self.evaluated_model,
            self._feed(split),
            scaling=self._scaling,
            precision=recipe.autocast(self._protocol, self._device),
            done=done,
        )

    def _feed(self, split: Split) -> Feed:
        if split not in self._feeds:
            self._feeds[split] = Feed(getattr(self._splits, split), device=self._device)
        return self._feeds[split]

    def _rng(self, purpose: int, count: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, purpose, count])
