"""How a network is trained: the data it sees and the recipe, one frozen value with an id."""

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Annotated, Any, Literal

from stacnet.data_spec import DataSpec
from stacnet.fields import (
    Count,
    Decay,
    NotNegative,
    Positive,
    Rule,
    Share,
    Whole,
    check_fields,
)
from stacnet.ids import short_hash

BatchSize = Annotated[int, Rule("a whole number of at least 2 (norms need two)", lambda n: n >= 2)]


@dataclass(frozen=True, kw_only=True)  # without slots: it remembers its id
class Protocol:
    """One training recipe (docs/method.md, section 4).

    Args:
        data: what is learned.
        epochs: passes over the training images.
        batch_size: images per step; the last incomplete batch of an epoch is dropped.
        lr: peak learning rate of SGD with Nesterov momentum.
        schedule: `cosine` to zero, or `step`: times 0.2 every quarter of the epochs.
        warmup_epochs: linear rise of the learning rate.
        momentum, weight_decay: of SGD; norm parameters and biases are not decayed.
        label_smoothing: share of the target spread over all classes.
        flip: mirror images at random.
        crop_padding: pixels of reflection padding before a random crop; 0 for none.
        erasing: probability that a random rectangle of an image is blanked.
        mixup, cutmix: alpha of the Beta distribution; 0 for none.
        ema: decay of the averaged weights that are evaluated, per step; 0 for none.
        clip_norm: largest gradient norm; 0 for none.
        precision: `bf16` is autocast, where the device has it.
    """

    data: DataSpec
    epochs: Count = 10
    batch_size: BatchSize = 128
    lr: Positive = 0.1
    schedule: Literal["cosine", "step"] = "cosine"
    warmup_epochs: NotNegative = 1.0
    momentum: Decay = 0.9
    weight_decay: NotNegative = 5e-4
    label_smoothing: Decay = 0.0
    flip: bool = False
    crop_padding: Whole = 0
    erasing: Share = 0.0
    mixup: NotNegative = 0.0
    cutmix: NotNegative = 0.0
    ema: Decay = 0.0
    clip_norm: NotNegative = 0.0
    precision: Literal["fp32", "bf16"] = "fp32"

    def __post_init__(self) -> None:
        check_fields(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @cached_property
    def protocol_id(self) -> str:
        """16 hex digits; equal for equal protocols."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return short_hash(text)


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochResult:
    """What one epoch gave. Losses are mean cross-entropy in nats; accuracies are shares.

    Args:
        epoch: number, from 1.
        epoch_s, cum_s: seconds of training and evaluation in this epoch, and since the start.
        resumed: whether the epoch was run, in part or whole, after loading a checkpoint.
    """

    epoch: int
    train_loss: float
    train_acc: float
    val_loss: float
    val_acc: float
    lr: float
    train_s: float
    eval_s: float
    cum_s: float
    resumed: bool
