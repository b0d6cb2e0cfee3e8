"""The map as heat maps: the trained network, its headroom, and every control beside it."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.look.classmap import ClassRepMap, Reading
from analysis.report.figures import STYLE, new_figure


class Cell(NamedTuple):
    """One square of a heat map."""

    row: int
    column: int
    value: float


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One heat map: places down, scales across."""

    title: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, kw_only=True)
class MapFacts:
    """What the map figure shows.

    Args:
        places: rows; scales: columns, cells per side.
        panels: trained map first, then headroom, then controls.
    """

    places: tuple[str, ...]
    scales: tuple[int, ...]
    panels: tuple[Panel, ...]


def map_facts(chart: ClassRepMap, attended: ClassRepMap | None = None) -> MapFacts:
    """Stages and scales of the map, of its controls, and of the best network if it is given."""
    trained = [r for r in chart.select() if r.stage >= 0]
    places = tuple(dict.fromkeys(r.place for r in trained))
    scales = tuple(sorted({r.cells for r in trained}))

    def panel(title: str, readings: list[Reading], values: list[float]) -> Panel:
        cells = [
            Cell(places.index(r.place), scales.index(r.cells), value)
            for r, value in zip(readings, values, strict=True)
            if value == value  # the finest maps are not read with permuted cells
        ]
        return Panel(title=title, cells=tuple(cells))

    controls = []
    for source in ("untrained", "pixels", "permuted labels"):
        of_source = [r for r in chart.select(source=source) if r.stage >= 0]
        if of_source:  # a network that cannot be drawn anew has no untrained twin
            controls.append(panel(f"control: {source}", of_source, [r.crs for r in of_source]))
    if attended is not None:
        best = [r for r in attended.select() if r.place in places and r.cells in scales]
        controls.append(panel("best network", best, [r.crs for r in best]))
        controls.append(panel("headroom of the best network", best, [r.head for r in best]))
    return MapFacts(
        places=places,
        scales=scales,
        panels=(
            panel("trained vanilla network", trained, [r.crs for r in trained]),
            panel("headroom (over its last layer)", trained, [r.head for r in trained]),
            panel("control: permuted layout", trained, [r.crs - r.lay for r in trained]),
            *controls,
        ),
    )


def draw_map(facts: MapFacts) -> Figure:
    """Two columns of heat maps with the numbers written in."""
    rows = -(-len(facts.panels) // 2)
    with rc_context(STYLE):
        figure = new_figure(rows * (0.75 + 0.33 * len(facts.places)))
        grid = figure.subplots(rows, 2, sharex=True, sharey=True, squeeze=False)
        for number, axes in enumerate(grid.flat):
            if number < len(facts.panels):
                _draw_panel(axes, facts, facts.panels[number])
            else:
                axes.set_visible(False)
        for axes in grid[-1]:
            axes.set_xlabel("scale, cells per side")
    return figure


def _draw_panel(axes: Axes, facts: MapFacts, panel: Panel) -> None:
    values = np.full((len(facts.places), len(facts.scales)), np.nan)
    for cell in panel.cells:
        values[cell.row, cell.column] = cell.value
    axes.imshow(values, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    for cell in panel.cells:
        axes.text(
            cell.column,
            cell.row,
            f"{cell.value + 0.0:.2f}".replace("-0.00", "0.00").replace("-", "\N{MINUS SIGN}"),
            ha="center",
            va="center",
            fontsize=min(7.5, 37.5 / len(facts.scales)),  # "−0.13" fits its cell
            color="black" if cell.value > 0.55 else "white",
        )
    axes.set_title(panel.title)
    axes.set_xticks(range(len(facts.scales)), [str(scale) for scale in facts.scales])
    axes.set_yticks(range(len(facts.places)), facts.places)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
