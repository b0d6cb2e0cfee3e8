"""A sampled study of 96 networks whose truth is a formula, for tests that ask and tell."""

from functools import cache

from search.study.networks import Networks, networks
from search.study.space import Space
from search.study.study import Sampled, SamplerName, Study
from search.study.training import Outcome, Training
from stacnet.data_spec import ScaleSignal
from stacnet.protocol import Protocol
from stacnet.spec import resnet


@cache
def study(sampler: SamplerName = "tpe", trials: int = 96, concurrency: int = 8) -> Study:
    """A space of 4 x 4 x 6 = 96 networks."""
    return Study(
        name="ninety-six",
        space=Space(
            base=resnet(8, width=4, input_size=32, classes=4),
            scales=(("off", 1, 2, 4), ("off", 1, 2, 4), ("off", 1, 2, 3, 4, "native")),
        ),
        protocol=Protocol(data=ScaleSignal()),
        strategy=Sampled(sampler=sampler, trials=trials, concurrency=concurrency),
    )


@cache
def among() -> Networks:
    """Its distinct networks."""
    return networks(study().space)


def value(training: Training) -> float:
    """A smooth objective: best at the last point."""
    assert training.point is not None
    digits = study().space.digits(training.point)
    return sum(digits[:3]) / 11 + 0.001 * training.seed


def done(training: Training) -> Outcome:
    """A network that was trained to its end."""
    values = {"val_acc": value(training), "macs": 1000.0 - value(training), "params": 5.0}
    return Outcome(status="complete", values=values)
