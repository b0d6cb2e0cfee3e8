"""Anytime regret of replayed searches, with the pick's regret as a line."""

from itertools import cycle

from matplotlib import rc_context
from matplotlib.figure import Figure

from analysis.replay.simulate import Replay
from analysis.replay.starts import is_wrong
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

COLOURS = (GREY, ORANGE, GREEN, RED, SKY, "black")


def draw_replays(replays: tuple[Replay, ...], *, pick_regret: float) -> Figure:
    """Median regret of the best so far over trials, quartiles shaded; not of wrong priors."""
    drawn = [replay for replay in replays if not is_wrong(replay.name)]
    with rc_context(STYLE):
        figure = new_figure(3.4)
        axes = figure.subplots()
        quiet_grid(axes)
        for colour, replay in zip(cycle(COLOURS), drawn, strict=False):
            low, middle, high = (
                [100 * value for value in values]
                for values in (replay.low, replay.regret, replay.high)
            )
            axes.fill_between(replay.trials, low, high, step="post", color=colour, alpha=0.15)
            axes.step(replay.trials, middle, where="post", color=colour, label=replay.name)
        axes.axhline(
            100 * pick_regret, color=BLUE, linestyle="--", linewidth=1.2, label="the pick alone"
        )
        axes.set_xlabel("trials")
        whole_numbers(axes)
        axes.set_ylabel("regret of the best so far, points")
        figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return figure
