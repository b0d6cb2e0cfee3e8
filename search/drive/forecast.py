"""What a study will take, told before it begins: hours, memory, storage, from a few timed steps."""

import os
from dataclasses import dataclass, fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
import pyarrow as pa

from search.drive.machine import device_name, gpu_bytes
from search.drive.pace import Pace, device_of, pace
from search.drive.ray_session import lent_cpus
from search.errors import StudyError
from search.store.checkpoints import KEPT
from search.store.rows import Effort, Row, epoch_rows, now, training_row
from search.store.schema import CELLS
from search.store.store import Store
from search.study.networks import Networks, num_trainings
from search.study.paper_studies import OFFICIAL_IMAGES
from search.study.study import Resources, Study
from search.study.training import Job, Training
from search.study.twins import MOST_TWINS
from stacnet.data.images import load
from stacnet.data_spec import Prepared
from stacnet.protocol import EpochResult
from stacnet.spec import NetworkSpec

PICKS = 10  # distinct networks among the picks: a guess, their maps are not drawn yet
REFERENCES = 3  # vanilla, SE everywhere, and what the seeds that select would choose
HOUR_S = 3600.0
SPARE = 1.25  # times the measured peak: what the caching allocator holds besides
CONTEXT_BYTES = 600 * 2**20  # of CUDA, in each process
MOST_SHARES = 16


@dataclass(frozen=True, kw_only=True)
class Images:
    """How many images the splits have."""

    train: int
    val: int
    test: int


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What trains here.

    Args:
        device: on which steps are timed; unit: what of it a training holds.
        is_wanted: whether that is what the study wants. One that wants a GPU is timed on one core
            where there is none.
        devices: how many units a training holds.
        slots: trainings at once.
        gpu_bytes: memory of the GPU; 0 without one.
    """

    device: str
    unit: Literal["GPU", "core"]
    is_wanted: bool
    devices: float
    slots: int
    gpu_bytes: int = 0


@dataclass(frozen=True, kw_only=True)
class Timed:
    """A network's pace, and the seconds of a training that follow from it."""

    pace: Pace
    training_s: float


@dataclass(frozen=True, kw_only=True)
class Storage:
    """Bytes: tables and weights remain; checkpoints are there while trainings run."""

    tables: int
    weights: int
    checkpoints: int


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What a study takes if all of its networks were like the median one.

    Args:
        vanilla, median, dearest: networks, by MACs.
        trainings: of the search; finalists: of `stac finalists`, about: picks are not known yet.
        device_hours: trainings times units; hours: of the clock, with all slots at work.
        share: of this GPU, that the dearest network needs; None without a GPU, or where it is too
            small.
        flop: arithmetic of it all: 2 for each multiply-accumulate, a backward pass as two forward.
    """

    machine: Machine
    images: Images
    vanilla: Timed
    median: Timed
    dearest: Timed
    trainings: int
    finalists: int
    device_hours: float
    hours: float
    share: float | None
    flop: float
    storage: Storage


def forecast(
    study: Study, among: Networks, *, budget_s: float = 30.0, slots: int | None = None
) -> Forecast:
    """Time vanilla, the median and the dearest network, and count up.

    Args:
        among: the study's networks.
        budget_s: how long about.
        slots: trainings at once; by default as many as fit here.

    Raises:
        StudyError: nothing is known of the data's size, or a step does not fit the memory.
    """
    images, order_N = images_of(study), np.argsort(among.macs_N, kind="stable")
    if study.resources.gpus and device_of(study) == "cpu":
        machine = replace(machine_of(replace(study, resources=Resources()), slots), is_wanted=False)
        study = replace(study, resources=Resources())
    else:
        machine = machine_of(study, slots)
    middle, last = (among.specs[i] for i in order_N[[len(order_N) // 2, -1]])
    specs = (study.space.base, middle, last)
    paces = [pace(spec, study, budget_s=budget_s / len(specs)) for spec in specs]
    timed = [Timed(pace=one, training_s=training_s(one, study, images)) for one in paces]
    own, fresh = num_trainings(study, among), num_finalists(study)
    waves = -(-own // machine.slots) + -(-fresh // machine.slots)
    typical_s = timed[1].training_s
    return Forecast(
        machine=machine,
        images=images,
        vanilla=timed[0],
        median=timed[1],
        dearest=timed[2],
        trainings=own,
        finalists=fresh,
        device_hours=(own + fresh) * typical_s * machine.devices / HOUR_S,
        hours=waves * typical_s / HOUR_S,
        share=share_for(paces[2].measured_bytes, machine.gpu_bytes),
        flop=(own + fresh) * training_flop(paces[1], study, images),
        storage=Storage(
            tables=(own + fresh) * row_bytes(study, middle, images),
            weights=len(study.seeds) * paces[0].weights_bytes + fresh * paces[1].weights_bytes,
            checkpoints=machine.slots * KEPT * paces[2].checkpoint_bytes,
        ),
    )


def machine_of(study: Study, slots: int | None) -> Machine:
    """The device here that the study's trainings get."""
    on_gpu = device_of(study) == "cuda"
    return Machine(
        device=device_name(on_gpu=on_gpu),
        unit="GPU" if on_gpu else "core",
        is_wanted=True,
        devices=study.resources.gpus if on_gpu else study.resources.cpus,
        slots=slots or slots_here(study),
        gpu_bytes=gpu_bytes() if on_gpu else 0,
    )


def share_for(peak_bytes: int | None, gpu_bytes: int) -> float | None:
    """About 1/n of a GPU, where n trainings fit; None if unknown, or if not one does.

    Args:
        peak_bytes: of the training, on the GPU.
        gpu_bytes: memory of the GPU; 0 if there is none.
    """
    if peak_bytes is None:
        return None
    fits = min(int(gpu_bytes // (SPARE * peak_bytes + CONTEXT_BYTES)), MOST_SHARES)
    return round(10_000 // fits / 10_000, 4) if fits else None  # in Ray's steps


def images_of(study: Study) -> Images:
    """Sizes of the splits: of the data if it is here, else of the official files of that name.

    Raises:
        StudyError: neither is known.
    """
    data = study.protocol.data
    try:
        splits = load(data)
        return Images(train=len(splits.train), val=len(splits.val), test=len(splits.test))
    except ValueError as error:
        if not isinstance(data, Prepared) or data.name not in OFFICIAL_IMAGES:
            raise StudyError(f"hours need the number of images, got none: {error}") from None
    train, test = OFFICIAL_IMAGES[data.name]
    val = round(data.val_fraction * train)
    return Images(train=train - val, val=val, test=test)


def training_s(one: Pace, study: Study, images: Images) -> float:
    """Seconds of a training; the test images are evaluated with each epoch, which is the most."""
    epochs, batch = study.protocol.epochs, study.protocol.batch_size
    trained = images.train // batch * batch
    return epochs * (trained * one.train_image_s + (images.val + images.test) * one.eval_image_s)


def training_flop(one: Pace, study: Study, images: Images) -> float:
    """Floating-point operations of a training."""
    passes = 3 * images.train + images.val + images.test
    return 2.0 * one.macs * passes * study.protocol.epochs


def num_finalists(study: Study) -> int:
    """Trainings of finalists: the best, references, twins of the best and of the pick, picks."""
    twins = 2 * MOST_TWINS
    return len(study.finalists.seeds) * (study.finalists.top + REFERENCES + twins + PICKS)


def slots_here(study: Study) -> int:
    """Trainings that fit this machine at once, at least one."""
    cpus = (lent_cpus() or os.cpu_count() or 1) // study.resources.cpus
    if device_of(study) == "cpu":
        return max(1, cpus)
    import torch

    return max(1, min(cpus, int(torch.cuda.device_count() / study.resources.gpus)))


def row_bytes(study: Study, spec: NetworkSpec, images: Images) -> int:
    """What a training leaves in the tables: one with made-up numbers is written and weighed."""
    rng = np.random.default_rng(0)
    training = Training(spec=spec, protocol_id=study.protocol.protocol_id, seed=study.seeds[0])
    job = Job(training=training, attempt=0, order=0, gpus=study.resources.gpus, lease="0" * 16)
    facts: Row = {one.name: rng.random() for one in CELLS if pa.types.is_floating(one.type)}
    facts |= {one.name: int(rng.integers(2**40)) for one in CELLS if one.type == pa.int64()}
    facts["test_correct"] = rng.bytes(-(-images.test // 8))
    effort = Effort(started_at=now(), ended_at=now(), wall_s=rng.random())
    row = facts | training_row(job, study, status="complete", effort=effort, facts={})
    numbers = [one.name for one in fields(EpochResult) if one.type is float]
    curve = [
        EpochResult(epoch=epoch, resumed=False, **{name: rng.random() for name in numbers})
        for epoch in range(1, study.protocol.epochs + 1)
    ]
    with TemporaryDirectory() as folder:
        Store(folder).write_attempt(job, row, epoch_rows(job, curve))
        return sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
