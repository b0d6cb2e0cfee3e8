"""Learning curves of the networks a reader asks about: best, worst, pick, vanilla."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import cycle

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib import rc_context
from matplotlib.figure import Figure

from analysis.report.figures import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    RED,
    SKY,
    STYLE,
    new_figure,
    quiet_grid,
    whole_numbers,
)


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Validation accuracy after each epoch, shares.

    Args:
        mean, low, high: over seeds; low and high are the extremes.
    """

    label: str
    network_id: str
    epochs: tuple[int, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


def learning_curves(epochs: pa.Table, wanted: Mapping[str, str]) -> tuple[Curve, ...]:
    """Curves of some networks.

    Args:
        epochs: columns network_id, epoch, val_acc.
        wanted: label -> network id; those without epochs are left out.
    """
    found = []
    for label, network_id in wanted.items():
        mine = epochs.filter(pc.field("network_id") == network_id)
        by_epoch = mine.group_by("epoch").aggregate(
            [("val_acc", "mean"), ("val_acc", "min"), ("val_acc", "max")]
        )
        rows = by_epoch.sort_by("epoch").to_pylist()
        if rows:
            found.append(
                Curve(
                    label=label,
                    network_id=network_id,
                    epochs=tuple(row["epoch"] for row in rows),
                    mean=tuple(row["val_acc_mean"] for row in rows),
                    low=tuple(row["val_acc_min"] for row in rows),
                    high=tuple(row["val_acc_max"] for row in rows),
                )
            )
    return tuple(found)


LINES = {
    "best of the search": (RED, "-"),
    "pick": (BLUE, "--"),
    "vanilla": ("black", "-."),
    "worst": (GREY, ":"),
    "network": (BLUE, "-"),
}
COLOURS = (BLUE, ORANGE, GREEN, RED, SKY, "black")  # of networks that have no such role, in turn


def draw_curves(curves: tuple[Curve, ...]) -> Figure:
    """One line a network, with the range over seeds shaded."""
    with rc_context(STYLE):
        figure = new_figure(3.3)
        axes = figure.subplots()
        quiet_grid(axes)
        for curve, next_colour in zip(curves, cycle(COLOURS), strict=False):
            colour, dashes = LINES.get(curve.label, (next_colour, "-"))
            percent = [100 * np.array(values) for values in (curve.low, curve.mean, curve.high)]
            axes.fill_between(curve.epochs, percent[0], percent[2], color=colour, alpha=0.12)
            axes.plot(
                curve.epochs, percent[1], color=colour, linestyle=dashes, marker="o", markersize=3,
                label=curve.label,
            )  # fmt: skip
        axes.set_xlabel("epoch")
        whole_numbers(axes)
        axes.set_ylabel("validation accuracy, %")
        figure.legend(loc="outside lower center", ncols=4, frameon=False)
    return figure
