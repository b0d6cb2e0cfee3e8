"""How sure a rule's pick is: how often it stays when probe images and networks are drawn anew."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby

import numpy as np

from analysis.look.classmap import ClassRepMap, Reading
from analysis.predict.rules import Rule, best_candidate, rule_scores
from search.study.networks import Networks

MOST_NETWORKS = 20_000  # more would take longer than the map


def pick_probability(rule: Rule, chart: ClassRepMap, among: Networks) -> float | None:
    """Share of draws of queries and vanilla networks in which the rule picks the same network.

    The gallery stays, and errors, retention and class responses too. None where the map holds no
    draws (it was read from a file), or there are more than `MOST_NETWORKS`.
    """
    if not chart.draws or len(among) > MOST_NETWORKS:
        return None
    pick = best_candidate(rule_scores(rule, chart, among), among)
    again = [best_candidate(rule_scores(rule, one, among), among) for one in drawn_maps(chart)]
    return float(np.mean([row == pick for row in again]))


def drawn_maps(chart: ClassRepMap) -> Iterator[ClassRepMap]:
    """The map of the trained network's stages, once for each draw."""
    drawn = {(one.stage, one.cells): one for one in chart.draws}
    stages = [r for r in chart.select() if (r.stage, r.cells) in drawn]
    for number in range(len(chart.draws[0].crs)):
        readings: list[Reading] = []
        for stage, group in groupby(stages, key=lambda reading: reading.stage):
            of_stage = list(group)
            crs = {r.cells: drawn[stage, r.cells].crs[number] for r in of_stage}
            last = drawn[stage, of_stage[0].cells].last[number]
            readings += [_again(reading, crs, last=last) for reading in of_stage]
        yield replace(chart, readings=tuple(readings), draws=())


def _again(reading: Reading, crs: dict[int, float], *, last: float) -> Reading:
    here = crs[reading.cells]
    return replace(
        reading,
        crs=here,
        head=here - last,
        gain=here - crs.get(1, float("nan")),
        below_best=max(crs.values()) - here,
    )
