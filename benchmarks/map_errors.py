"""Whether a map's errors are what other probe images would give: SD over draws, over its own SE.

Run: python benchmarks/map_errors.py [--draws 30]

A patch-limited network is trained on sawtooth; its map is then read again and again from images
that nobody has seen. A ratio of 1 is right; above, the errors are too small.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator
from itertools import count

import numpy as np
import torch

from analysis.look.classrepsim import ProbeSet, Settings
from analysis.look.controls import map_with_controls
from analysis.predict.predict import places
from search.study.studies import demo
from stacnet.data.augment import Scaling
from stacnet.data.images import load
from stacnet.data.shifted import generate
from stacnet.data_spec import ShiftedLayouts
from stacnet.network import last_map
from stacnet.train import Trainer

UNSEEN = 100_000  # number of the first image of a draw: behind all that were trained on
SCALES = [1, 2, 4, 8]
QUIET = 1e-3  # SD of what hardly varies, such as a CRS of 1


def main() -> None:
    """Print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=30)
    draws = parser.parse_args().draws
    study = demo()
    data = study.protocol.data
    assert isinstance(data, ShiftedLayouts)
    trainer = Trainer(study.space.base, study.protocol, load(data))
    while not trainer.done:
        trainer.run()
    rows = [place for place in places(study.space.base) if place.stage >= 0]
    settings = Settings(readouts=(("full", "knn"),))
    for images in (200, 1000):
        found = defaultdict(list)
        for probes in drawn(data, images, draws):
            chart = map_with_controls(
                [(trainer.model, None)],
                probes,
                places=rows,
                last=last_map(study.space.base),
                scales=SCALES,
                settings=settings,
            )
            for one in chart.select():
                found["crs", one.stage, one.cells].append((one.crs, one.crs_se))
                found["headroom", one.stage, one.cells].append((one.head, one.head_se))
        for kind in ("crs", "headroom"):
            ratios = [_ratio(np.array(seen)) for key, seen in found.items() if key[0] == kind]
            shown = " ".join(f"{ratio:.2f}" for ratio in ratios if ratio == ratio)
            mean = np.sqrt(np.nanmean(np.square(ratios)))
            print(f"{images} images, {kind}: SD / SE {shown}; root mean square {mean:.2f}")


def drawn(data: ShiftedLayouts, images: int, draws: int) -> Iterator[ProbeSet]:
    """Probe sets of images that nobody has seen."""
    splits = load(data)
    scaling = Scaling(splits.mean_C, splits.std_C, device=torch.device("cpu"))
    for number, start in zip(range(draws), count(UNSEEN, images), strict=False):
        x_NCHW, labels_N = generate(data, split="train", start=start, stop=start + images)
        order_N = np.random.default_rng(number).permutation(images)
        yield _probes(scaling, torch.from_numpy(x_NCHW[order_N]), labels_N[order_N])


def _probes(scaling: Scaling, x_NCHW: torch.Tensor, labels_N: np.ndarray) -> ProbeSet:
    return ProbeSet(
        batches=lambda: map(scaling.normalise, x_NCHW.split(128)),
        labels_N=labels_N,
        num_gallery=len(labels_N) // 2,
        classes=int(labels_N.max()) + 1,
    )


def _ratio(value_se: np.ndarray) -> float:
    value, se = value_se.T
    spread = value.std(ddof=1)
    return float(spread / np.sqrt((se**2).mean())) if spread > QUIET else float("nan")


if __name__ == "__main__":
    main()
