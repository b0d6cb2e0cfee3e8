"""What can be measured of a network and optimised: its column, unit and direction; one table."""

from typing import Literal, NamedTuple

Metric = Literal["val_acc", "val_loss", "macs", "params", "latency_s"]
Direction = Literal["maximize", "minimize"]


class Measure(NamedTuple):
    """A metric.

    Args:
        column: of `trainings` that holds it.
        unit: of its values.
        direction: in which it gets better.
    """

    column: str
    unit: str
    direction: Direction


MEASURES: dict[Metric, Measure] = {
    "val_acc": Measure("val_acc_last", "share", "maximize"),
    "val_loss": Measure("val_loss_last", "nats", "minimize"),
    "macs": Measure("macs", "MACs", "minimize"),
    "params": Measure("params", "parameters", "minimize"),
    "latency_s": Measure("latency_s", "s", "minimize"),
}
METRICS = {metric: measure.column for metric, measure in MEASURES.items()}
