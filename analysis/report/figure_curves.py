"""Learning curves drawn: mean and range over seeds."""

from itertools import cycle

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from analysis.report.curves import Curve
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
