"""Shared look of all figures: colours safe for colour-blind readers, sizes readable on a phone.

Every plot is facts (a frozen value, tested) and a drawing (facts in, Figure out), never through
pyplot's global state. Figures are under 5 inches wide, so that a phone shows them nearly unscaled.
"""

import io
from typing import Any, Literal

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

# Okabe & Ito (2008), distinguishable with any colour vision and in grey print.
BLUE, ORANGE, GREEN, RED, SKY, GREY = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#56B4E9",
    "#8C8C8C",
)
WIDTH = 4.7  # inches
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "svg.hashsalt": "stacnet",
    "axes.spines.top": False,
    "axes.spines.right": False,
}


class NotebookFigure(Figure):
    """A figure that a notebook shows, although pyplot does not know it."""

    def _repr_svg_(self) -> str:
        return to_bytes(self, kind="svg").decode()


def new_figure(height: float) -> Figure:
    """An empty figure of standard width; height in inches."""
    figure = NotebookFigure(figsize=(WIDTH, height), layout="constrained")
    FigureCanvasSVG(figure)
    return figure


def quiet_grid(axes: Axes, *, axis: Literal["x", "y", "both"] = "both") -> None:
    """Light grid lines behind the data."""
    axes.grid(True, axis=axis, color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)


def to_bytes(figure: Figure, *, kind: Literal["svg", "png"]) -> bytes:
    """The figure as a file; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    with rc_context(STYLE):
        figure.savefig(buffer, format=kind, dpi=200, metadata=metadata)
    return buffer.getvalue()


def whole_numbers(axes: Axes) -> None:
    """Ticks of the horizontal axis at whole numbers."""
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
