"""Write docs/widened.md: does STAC beat the same parameters spent on width? ScaleSignal, 5 seeds.

Run: python benchmarks/widened.py (some minutes on one core)
"""

import math
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from stacnet.attention_spec import AttentionSpec
from stacnet.cost import cost
from stacnet.data.images import load
from stacnet.data.scalesignal import scale_blind_ceiling
from stacnet.data_spec import ScaleSignal
from stacnet.match import matched
from stacnet.protocol import Protocol
from stacnet.spec import ResNetSpec, resnet
from stacnet.train import Trainer

TARGET = Path(__file__).parent.parent / "docs" / "widened.md"
SEEDS = range(5)
STUDENT_T = 2.776  # two-sided 95 %, 4 degrees of freedom
SE = AttentionSpec(kind="se", reduction=1)
STAC = AttentionSpec(scale=2, kernel=3, reduction=1)
EASY = ScaleSignal(grid=2, size=16, gap=1, noise=0.1, train=1024, val=512, test=2048)
HARD = replace(EASY, noise=1.0, flip=0.02)


class Setting(NamedTuple):
    """A vanilla network, its data, and what the reader should know about them."""

    title: str
    vanilla: ResNetSpec
    data: ScaleSignal


SETTINGS = (
    Setting(
        f"Patch-limited network (receptive field 3 pixels), noise {EASY.noise}: no width can see a "
        f"layout, the ceiling without attention is {scale_blind_ceiling(EASY)}",
        resnet(8, width=8, kernels=(1, 1, 1), input_size=16, classes=8),
        EASY,
    ),
    Setting(
        f"Ordinary network (3x3 kernels), noise {HARD.noise}, {HARD.flip:.0%} of the cells turned "
        "over: every network can see the layout",
        resnet(8, width=8, input_size=16, classes=8),
        HARD,
    ),
)
HEAD = """\
# The same parameters spent on width

ScaleSignal with g = 2, ResNet-8 of width 8, attention in every block: SE with reduction 1, STAC
with scale 2, kernel 3, reduction 1. The wide twins have STAC's parameters within 1 %
(`stacnet.match`). Mean test accuracy of 5 seeds with its 95 % interval (Student's t over seeds).
Written by `python benchmarks/widened.py`, as it came out.
"""


def networks(vanilla: ResNetSpec) -> dict[str, ResNetSpec]:
    """The five that are compared."""
    stages = len(vanilla.blocks)
    stac = replace(vanilla, attention=(STAC,) * stages)
    return {
        "vanilla": vanilla,
        "SE": replace(vanilla, attention=(SE,) * stages),
        "STAC": stac,
        "wide vanilla": matched(stac, by="params"),
        "wide SE": matched(stac, by="params", attention=SE),
    }


def accuracies(spec: ResNetSpec, data: ScaleSignal) -> list[float]:
    """Test accuracy of each seed."""
    protocol = Protocol(data=data, epochs=6, batch_size=16, lr=0.05)
    found = []
    for seed in SEEDS:
        trainer = Trainer(spec, protocol, load(data), seed=seed)
        while not trainer.done:
            trainer.run()
        found.append(float(trainer.evaluate("test")[1].mean()))
    return found


def row(name: str, spec: ResNetSpec, accuracy_S: list[float]) -> str:
    """One line of the table."""
    error = STUDENT_T * float(np.std(accuracy_S, ddof=1)) / math.sqrt(len(accuracy_S))
    price = cost(spec)
    seeds = " ".join(f"{accuracy:.3f}" for accuracy in accuracy_S)
    mean = f"{np.mean(accuracy_S):.3f} ± {error:.3f}"
    return f"| {name} | {price.params:,} | {price.macs:,} | {mean} | {seeds} |"


def main() -> None:
    """Train all and write the page."""
    lines = [HEAD]
    for setting in SETTINGS:
        lines += [f"## {setting.title}\n", "| network | parameters | MACs | accuracy | seeds |"]
        lines += ["|---|---:|---:|---:|---|"]
        for name, spec in networks(setting.vanilla).items():
            lines.append(row(name, spec, accuracies(spec, setting.data)))
            print(lines[-1], flush=True)
        lines.append("")
    TARGET.write_text("\n".join(lines))


if __name__ == "__main__":
    main()
