"""How fast and how large a training is here: a few steps on made-up images, timed and measured.

Shapes: P images of a pool, C channels, S pixels.
"""

import time
from dataclasses import dataclass, replace
from statistics import median

import numpy as np
import torch

from search.drive.machine import PeakMemory
from search.errors import StudyError
from search.study.study import Study
from stacnet.checkpoint import dumps
from stacnet.cost import cost
from stacnet.data.images import ImageSet, Splits, whole
from stacnet.protocol import EpochResult, Protocol
from stacnet.spec import NetworkSpec
from stacnet.train import Trainer

STEPS, MOST_EPOCHS = 2, 20  # of a timed run; too few for torch.compile, which real ones may use
FEW = 2  # images a step of the first look


@dataclass(frozen=True, kw_only=True)
class Pace:
    """One network of a study on this machine.

    Args:
        batch: images a step that was timed; fewer than the study's where the time was short.
        train_image_s, eval_image_s: seconds of an image in training and in evaluation.
        computed_bytes: memory of a step with the study's batch (see `stacnet.cost`).
        measured_bytes: the same as it was: of the GPU, or of this whole process; None if fewer
            images were timed.
        weights_bytes, checkpoint_bytes: of the files that a training writes.
    """

    network_id: str
    params: int
    macs: int
    batch: int
    train_image_s: float
    eval_image_s: float
    computed_bytes: int
    measured_bytes: int | None
    weights_bytes: int
    checkpoint_bytes: int


def device_of(study: Study) -> str:
    """Where its steps can be timed here: on a GPU if it wants one and one is there."""
    return "cuda" if study.resources.gpus and torch.cuda.is_available() else "cpu"


def pace(spec: NetworkSpec, study: Study, *, budget_s: float) -> Pace:
    """Train and evaluate a network for about so many seconds.

    On a processor, where time goes with the images, a step holds as many of them as the time
    allows; on a GPU it is the study's own.

    Raises:
        StudyError: a step does not fit the memory.
    """
    protocol, priced = study.protocol, cost(spec)
    memory = PeakMemory(on_gpu=device_of(study) == "cuda")
    try:
        trainer, batch = _warm(spec, study, budget_s=budget_s)
        results = _epochs(trainer, budget_s=budget_s / 2)
    except (torch.OutOfMemoryError, MemoryError):
        raise StudyError(
            f"a step must fit the memory here, got one of {spec.input_size} pixels and up to "
            f"{protocol.batch_size} images: {priced.train_memory_bytes(protocol.batch_size):,} "
            f"bytes computed"
        ) from None
    return Pace(
        network_id=spec.network_id,
        params=priced.params,
        macs=priced.macs,
        batch=batch,
        train_image_s=median(result.train_s for result in results) / (STEPS * batch),
        eval_image_s=median(result.eval_s for result in results) / batch,
        computed_bytes=priced.train_memory_bytes(protocol.batch_size),
        measured_bytes=memory.peak_bytes() if batch == protocol.batch_size else None,
        weights_bytes=len(dumps(trainer.evaluated_model.state_dict())),
        checkpoint_bytes=len(dumps({"trainer": trainer.state_dict(), "best": {}})),
    )


def _warm(spec: NetworkSpec, study: Study, *, budget_s: float) -> tuple[Trainer, int]:
    """A run after its first epochs, and the images of its steps: epochs take a quarter of the time.

    How many those are, an epoch of few images tells.
    """
    most = study.protocol.batch_size
    if device_of(study) == "cpu":
        trainer = _trainer(spec, study, batch=FEW)
        trainer.run()  # the first one imports, allocates, chooses kernels
        began = time.perf_counter()
        trainer.run()
        epoch_s = (time.perf_counter() - began) / FEW  # with one image a step
        most = min(max(int(budget_s / 4 / epoch_s), FEW), most)
        if most == FEW:
            return trainer, FEW
    trainer = _trainer(spec, study, batch=most)
    trainer.run()
    return trainer, most


def _epochs(trainer: Trainer, *, budget_s: float) -> list[EpochResult]:
    """At least one."""
    deadline, results = time.perf_counter() + budget_s, []
    while not results or (time.perf_counter() < deadline and not trainer.done):
        result = trainer.run()
        assert result is not None  # without a budget it ends with the epoch
        results.append(result)
    return results


def _trainer(spec: NetworkSpec, study: Study, *, batch: int) -> Trainer:
    """A run with the study's recipe that cannot diverge, whatever the images are."""
    protocol: Protocol = replace(
        study.protocol, batch_size=batch, epochs=MOST_EPOCHS, lr=1e-6, warmup_epochs=0.0
    )
    return Trainer(
        spec,
        protocol,
        made_up(spec, num=batch, steps=STEPS),
        device=device_of(study),
        threads=study.resources.cpus,
    )


def made_up(spec: NetworkSpec, *, num: int, steps: int) -> Splits:
    """Random images that fit the network: a pool of `num`, seen `steps` times in an epoch."""
    rng = np.random.default_rng(0)
    shape = (num, spec.in_channels, spec.input_size, spec.input_size)
    pool_PCSS = rng.integers(0, 256, shape, dtype=np.uint8)
    labels_P = rng.integers(0, spec.classes, num)
    train = ImageSet(pool_PCSS, np.tile(np.arange(num), steps), np.tile(labels_P, steps))
    images = whole(pool_PCSS, labels_P)
    middle_C, spread_C = (127.5,) * spec.in_channels, (73.9,) * spec.in_channels
    return Splits(train, images, images, spec.classes, middle_C, spread_C)
