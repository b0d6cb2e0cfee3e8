"""The report's figures, one at a time: each function returns a matplotlib Figure."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from analysis.judge.comparison import Comparison
from analysis.look.classmap import ClassRepMap
from analysis.replay.simulate import Replay
from analysis.report.curves import learning_curves
from analysis.report.figure_curves import draw_curves
from analysis.report.figure_replay import draw_replays
from analysis.report.figures_map import draw_map, map_facts
from analysis.report.figures_study import (
    cost_facts,
    draw_costs,
    draw_frontier,
    draw_ranking,
    frontier_facts,
    ranking_facts,
)
from stac.judging import compare
from stac.result import Result, Source, store_of


def plot_map(chart: ClassRepMap) -> Figure:
    """Class consistency per place and scale, headroom, and every control of the map."""
    return draw_map(map_facts(chart))


def plot_frontier(comparison: Comparison | Source) -> Figure:
    """Every trained network's accuracy over its MACs, with frontier, pick and vanilla."""
    return draw_frontier(frontier_facts(_compared(comparison)))


def plot_ranking(comparison: Comparison | Source) -> Figure:
    """Regret and rank agreement of every predictor, with intervals."""
    return draw_ranking(ranking_facts(_compared(comparison)))


def plot_costs(comparison: Comparison | Source) -> Figure:
    """Device seconds of the search beside what a prediction costs."""
    return draw_costs(cost_facts(_compared(comparison)))


def plot_curves(source: Source, *network_ids: str) -> Figure:
    """Learning curves, mean and range over seeds.

    Args:
        network_ids: of which networks; by default the best one and vanilla.
    """
    store = store_of(source)
    wanted = {name: name for name in network_ids} or {
        "best of the search": Result(store).best().id,
        "vanilla": store.study().space.base.network_id,
    }
    return draw_curves(learning_curves(store.epochs(), wanted))


def plot_replays(replays: Sequence[Replay], comparison: Comparison | Source) -> Figure:
    """Regret of the best so far over trials, quartiles shaded, with the pick's regret as a line."""
    pick_regret = _compared(comparison).primary.regret.value
    return draw_replays(tuple(replays), pick_regret=pick_regret)


def _compared(given: Comparison | Source) -> Comparison:
    return given if isinstance(given, Comparison) else compare(given)
