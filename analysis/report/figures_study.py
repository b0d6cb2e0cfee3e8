"""Frontier, ranking and cost figures of one comparison."""

from dataclasses import dataclass
from typing import NamedTuple

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.judge.agreement import Interval
from analysis.judge.comparison import Comparison
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
)

FAMILY_COLOUR = {
    "rule": BLUE,
    "control": ORANGE,
    "map": SKY,
    "reference": GREY,
    "cost": GREY,
    "proxy": GREEN,
    "training": RED,
}


class Point(NamedTuple):
    """A network: extra MACs against vanilla in percent, accuracy in percent."""

    cost: float
    accuracy: float


@dataclass(frozen=True, kw_only=True)
class FrontierFacts:
    """All networks, the true frontier, and the ones a reader looks for.

    Args:
        cloud, front: points on seeds B.
        marked: label -> point.
    """

    metric: str
    cloud: tuple[Point, ...]
    front: tuple[Point, ...]
    marked: dict[str, Point]


def frontier_facts(comparison: Comparison) -> FrontierFacts:
    """Frontier in (accuracy, MACs) with vanilla, SE, the pick and the best."""
    base = comparison.vanilla.macs if comparison.vanilla else min(comparison.cloud.macs)

    def point(macs: float, accuracy: float) -> Point:
        return Point(100 * (macs / base - 1), 100 * accuracy)

    front = next(f for f in comparison.fronts if f.cost == "macs")
    wanted = {"best of the search": comparison.best, "pick": comparison.primary.network}
    if comparison.vanilla:
        wanted["vanilla"] = comparison.vanilla
    squeeze = next((j for j in comparison.judged if j.name == "SE everywhere"), None)
    if squeeze:
        wanted["SE everywhere"] = squeeze.network
    return FrontierFacts(
        metric=comparison.metric,
        cloud=tuple(map(point, comparison.cloud.macs, comparison.cloud.accuracies)),
        front=tuple(map(point, front.costs, front.accuracies)),
        marked={
            label: point(network.macs, network.accuracy.value)
            for label, network in wanted.items()
            if network.accuracy.n
        },
    )


MARKS = {  # each smaller than the one before it: all show where networks coincide
    "best of the search": ("*", RED, 340),
    "pick": ("D", BLUE, 110),
    "vanilla": ("s", "black", 50),
    "SE everywhere": ("^", ORANGE, 30),
}
TOP = 103.0  # of the axis: no accuracy is above 100 %, and marks need room


def draw_frontier(facts: FrontierFacts) -> Figure:
    """Accuracy over extra MACs."""
    with rc_context(STYLE):
        figure = new_figure(3.7)
        axes = figure.subplots()
        quiet_grid(axes)
        axes.scatter(*_columns(facts.cloud), s=14, color=GREY, alpha=0.6, label="a network")
        if facts.front:
            axes.plot(*_columns(facts.front), drawstyle="steps-post", color=GREEN, label="frontier")
        for label, point in facts.marked.items():
            marker, colour, size = MARKS[label]
            axes.scatter(
                *point,
                marker=marker,
                s=size,
                facecolor=colour,
                edgecolor="white",
                linewidth=0.8,
                zorder=3,
                clip_on=False,  # the best lies at the edge of the picture
                label=label,
            )
        bottom, top = axes.get_ylim()
        axes.set_yticks([tick for tick in axes.get_yticks() if tick <= 100])
        axes.set_ylim(bottom, min(top, TOP))
        axes.set_xlabel("MACs over vanilla, %")
        axes.set_ylabel(f"{facts.metric}, %")
        figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return figure


def _columns(points: tuple[Point, ...]) -> tuple[list[float], list[float]]:
    return [p.cost for p in points], [p.accuracy for p in points]


class Bar(NamedTuple):
    """One predictor's line in the ranking."""

    name: str
    family: str
    regret: Interval
    tau: Interval


@dataclass(frozen=True, kw_only=True)
class RankingFacts:
    """Predictors by regret, best first; random_regret is what chance gives."""

    bars: tuple[Bar, ...]
    random_regret: float
    noise_ceiling: float


def ranking_facts(comparison: Comparison) -> RankingFacts:
    """Regret in points and tau of every predictor."""
    bars = [
        Bar(j.name, j.family, _points(j.regret), j.tau) for j in comparison.judged if j.regret.n
    ]
    order = sorted(bars, key=lambda bar: (bar.regret.value, -_or(bar.tau.value, -2.0), bar.name))
    return RankingFacts(
        bars=tuple(order),
        random_regret=100 * comparison.random.regret,
        noise_ceiling=comparison.noise_ceiling.value,
    )


def draw_ranking(facts: RankingFacts) -> Figure:
    """Regret and tau side by side, one line a predictor."""
    with rc_context(STYLE):
        figure = new_figure(1.3 + 0.2 * len(facts.bars))
        regret, tau = figure.subplots(1, 2, sharey=True)
        for axes, name in ((regret, "regret"), (tau, "tau")):
            quiet_grid(axes, axis="x")
            for row, bar in enumerate(facts.bars):
                _draw_interval(axes, row, getattr(bar, name), FAMILY_COLOUR[bar.family])
        regret.axvline(facts.random_regret, color="black", linewidth=0.9, linestyle="--")
        tau.axvline(0, color="black", linewidth=0.9, linestyle="--")
        has_ceiling = facts.noise_ceiling == facts.noise_ceiling
        if has_ceiling:
            tau.axvline(facts.noise_ceiling, color=GREEN, linewidth=0.9, linestyle=":")
        regret.set_yticks(range(len(facts.bars)), [bar.name for bar in facts.bars])
        regret.invert_yaxis()
        regret.set_xlabel("regret, points\n(dashed: random)")
        tau.set_xlim(-1.05, 1.05)
        dotted = "\n(dotted: perfect)" if has_ceiling else ""
        tau.set_xlabel(f"Kendall's tau{dotted}")
    return figure


def _draw_interval(axes: Axes, row: int, interval: Interval, colour: str) -> None:
    if interval.low == interval.low:
        axes.plot([interval.low, interval.high], [row, row], color=colour, linewidth=1.4)
    axes.plot(interval.value, row, "o", color=colour, markersize=4)


def _points(interval: Interval) -> Interval:
    return Interval(100 * interval.value, 100 * interval.low, 100 * interval.high, interval.n)


def _or(value: float, other: float) -> float:
    return value if value == value else other


@dataclass(frozen=True, kw_only=True)
class CostFacts:
    """Device seconds by what they were spent on, dearest first."""

    seconds: dict[str, float]


def cost_facts(comparison: Comparison) -> CostFacts:
    """The search beside what a prediction costs."""
    costs = comparison.costs
    trial_s = costs.search_s / max(1, costs.cells)
    found = {
        f"search, {costs.cells} trainings": costs.search_s,
        "one training": trial_s,
        "vanilla trainings of the map": costs.vanilla_s,
        "maps with controls": costs.look_s,
    }
    found |= {j.name: j.cost_s for j in comparison.judged if j.family in ("proxy", "training")}
    return CostFacts(seconds=dict(sorted(found.items(), key=lambda item: -item[1])))


def draw_costs(facts: CostFacts) -> Figure:
    """Horizontal bars on a logarithmic axis, with the seconds written at their ends."""
    with rc_context(STYLE):
        figure = new_figure(0.9 + 0.28 * len(facts.seconds))
        axes = figure.subplots()
        quiet_grid(axes, axis="x")
        names = list(facts.seconds)
        values = [max(seconds, 1e-3) for seconds in facts.seconds.values()]
        bars = axes.barh(range(len(names)), values, color=BLUE, height=0.6)
        axes.bar_label(bars, [f"{v:,.1f}" for v in facts.seconds.values()], padding=3, fontsize=8)
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.set_xscale("log")
        axes.set_xlim(min(values) / 2, max(values) * 8)
        axes.set_xlabel("device seconds")
    return figure
