"""How a network is trained: the data it sees and the recipe, one frozen value with an id."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class ScaleSignal:
    """Procedural images whose class is a layout of gratings on a g x g grid (see data/scalesignal).

    Args:
        grid: cells per side, g; even for layout classes. Pooled below g, all layouts look alike.
        layouts: number of layout classes, beside the two anchors (all +45, all -45 degrees).
        size: side of the image, pixels; a multiple of `grid`.
        noise: standard deviation of the white noise (the grating has amplitude about 1).
        flip: probability that a single cell shows the other orientation.
        jitter: largest random shift of the whole layout, pixels.
        gap: border of each cell without grating, pixels.
        second_grid: if not 0, half of the layout classes live on this grid instead.
        train, val, test: number of images per split.
        seed: of everything; an image depends on (seed, split, index) alone.
    """

    grid: int = 4
    layouts: int = 6
    size: int = 16
    noise: float = 0.3
    flip: float = 0.0
    jitter: int = 0
    gap: int = 0
    second_grid: int = 0
    train: int = 2000
    val: int = 1000
    test: int = 1000
    seed: int = 0
    kind: Literal["scalesignal"] = "scalesignal"

    def __post_init__(self) -> None:
        if self.second_grid == self.grid:
            raise ValueError(f"second_grid must be another grid, got {self.second_grid}")
        for name, grid in (("grid", self.grid), ("second_grid", self.second_grid or self.grid)):
            if grid < 2 or grid & (grid - 1):
                raise ValueError(f"{name} must be a power of two from 2, got {name}={grid}")
            used = self.layouts if not self.second_grid else -(-self.layouts // 2)
            if not 1 <= used <= 6 ** (grid**2 // 4):  # six 2x2 blocks sum to zero
                raise ValueError(
                    f"layouts must be between 1 and what a {grid}x{grid} grid has "
                    f"({6 ** (grid**2 // 4)}), got layouts={self.layouts}"
                )
        fine = max(self.grid, self.second_grid)
        if self.size % fine or self.size // fine <= 2 * self.gap:
            raise ValueError(
                f"size must be a multiple of the grid with cells wider than two gaps, got "
                f"size={self.size} grid={fine} gap={self.gap}"
            )
        if not 0 <= self.flip <= 1 or min(self.noise, self.jitter, self.gap, self.seed) < 0:
            raise ValueError(
                f"flip must be in 0..1; noise, jitter, gap and seed not negative, got "
                f"flip={self.flip} noise={self.noise} jitter={self.jitter} gap={self.gap} "
                f"seed={self.seed}"
            )
        if min(self.train, self.val, self.test) < 1:
            raise ValueError(
                f"every split needs images, got train={self.train} val={self.val} test={self.test}"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Digits:
    """scikit-learn's 1,797 handwritten digits of 8x8: a smoke test on real input.

    Args:
        val_fraction, test_fraction: shares split off, stratified and seeded.
        seed: of the split.
    """

    val_fraction: float = 0.2
    test_fraction: float = 0.2
    seed: int = 0
    kind: Literal["digits"] = "digits"


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """Images prepared once by `stac data prepare`; found by name under the data folder.

    Args:
        name: folder of the cache below `$STACNET_DATA` (default `~/.cache/stacnet`).
        checksum: of the cache; empty accepts any, and is filled in when a study is written.
        val_fraction: share of the training images split off for validation, stratified, seeded.
        seed: of that split.
    """

    name: str
    checksum: str = ""
    val_fraction: float = 0.05
    seed: int = 0
    kind: Literal["prepared"] = "prepared"


DataSpec = ScaleSignal | Digits | Prepared


@dataclass(frozen=True, kw_only=True, slots=True)
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
    epochs: int = 10
    batch_size: int = 128
    lr: float = 0.1
    schedule: Literal["cosine", "step"] = "cosine"
    warmup_epochs: float = 1.0
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing: float = 0.0
    flip: bool = False
    crop_padding: int = 0
    erasing: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    ema: float = 0.0
    clip_norm: float = 0.0
    precision: Literal["fp32", "bf16"] = "fp32"

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1:
            raise ValueError(
                f"epochs and batch_size must be at least 1, got epochs={self.epochs} "
                f"batch_size={self.batch_size}"
            )
        if not self.lr > 0:
            raise ValueError(f"lr must be positive, got lr={self.lr}")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @property
    def protocol_id(self) -> str:
        """16 hex digits; equal for equal protocols."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


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
