"""How high each kind of gate gets on planted data, beside the ceiling of what cannot see a layout.

Run: python benchmarks/planted.py [--seeds 2] [--epochs 8 25 50]

Static gates are trained at three learning rates and for every number of epochs; the others with the
study's recipe. Test accuracy after the last epoch, of 2,000 images; one core, about an hour.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace

from search.study.studies import sawtooth, shifted_layouts
from search.study.study import Study
from stacnet.data.images import load
from stacnet.data.shifted import blind_ceiling
from stacnet.data_spec import ShiftedLayouts
from stacnet.spec import AttentionSpec, NetworkSpec
from stacnet.train import Trainer

RATES = (0.1, 1, 10)  # times the study's


def main() -> None:
    """Print a table per study."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--epochs", type=int, nargs="+", default=[8, 25, 50])
    arguments = parser.parse_args()
    for study in (shifted_layouts(), sawtooth()):
        data = study.protocol.data
        assert isinstance(data, ShiftedLayouts)
        study = replace(study, protocol=replace(study.protocol, data=replace(data, test=2000)))
        print(f"\n{study.name}: ceiling {blind_ceiling(data):.3f}", flush=True)
        for name, spec, rates, epochs in cases(study, arguments.epochs):
            for rate in rates:
                for seed in range(arguments.seeds):
                    found = accuracy(spec, study, rate=rate, epochs=epochs, seed=seed)
                    line = f"{name:12}rate x {rate:<5g}epochs {epochs:<4}seed {seed}  {found:.3f}"
                    print(line, flush=True)


def cases(
    study: Study, epochs: list[int]
) -> Iterator[tuple[str, NetworkSpec, tuple[float, ...], int]]:
    """Name, network, factors of the learning rate and number of epochs."""
    scales = [scale for scale in study.space.stage_scales[0] if isinstance(scale, int)]
    base = study.space.base
    for number in epochs:
        yield "vanilla", base, (1,), number
        for scale in scales:
            yield f"static {scale}", _gated(base, "static", scale), RATES, number
    for scale in scales:
        yield f"stac {scale}", _gated(base, "stac", scale), (1,), study.protocol.epochs


def _gated(base: NetworkSpec, kind: str, scale: int) -> NetworkSpec:
    gate = AttentionSpec(kind=kind, scale=scale, reduction=1, padding="circular")  # type: ignore[arg-type]
    return replace(base, attention=(gate, gate, None))


def accuracy(spec: NetworkSpec, study: Study, *, rate: float, epochs: int, seed: int) -> float:
    """Test accuracy after the last epoch."""
    recipe = replace(study.protocol, lr=rate * study.protocol.lr, epochs=epochs)
    trainer = Trainer(spec, recipe, load(recipe.data), seed=seed)
    while not trainer.done:
        trainer.run()
    return float(trainer.evaluate("test")[1].mean())


if __name__ == "__main__":
    main()
