"""What a comparison lacks, a sentence each: a reader shall not have to find out."""

from collections.abc import Collection, Iterator, Sequence

import numpy as np

from analysis.judge.bench import Bench
from analysis.judge.judged import Judged
from search.study.networks import Networks, num_trainings
from search.study.study import Study
from search.study.training import id_of

MOST_NAMED = 5  # networks that diverged


def missing(study: Study, among: Networks, bench: Bench, judged: Sequence[Judged]) -> Iterator[str]:
    """What could not be computed, or not as it should be."""
    planned = num_trainings(study, among)
    if bench.results.trainings < planned:
        yield f"The search is not finished: {bench.results.trainings} of {planned} trainings."
    if bench.num_seeds == 1:
        yield "One seed only: the best is selected and measured on the same trainings."
    if not bench.results.is_sound_N.all():
        yield _diverged(bench)
    if bench.answers is None:
        yield "Right answers per test image are not stored: errors are those of the seeds alone."
    if not bench.results.has_test:
        yield "There is no test accuracy; validation accuracy is judged instead."
    if "latency" not in bench.fronts:
        yield "Latency was not measured; there is no frontier in (accuracy, latency)."
    for one in judged:
        if np.isnan(one.network.accuracy.value):
            yield f"The pick of {one.name} was not trained; it has no regret."


def seen_too_much(
    weights: Collection[str], study: Study, measuring: Sequence[int]
) -> Iterator[str]:
    """That the map has looked at vanilla networks of seeds that measure."""
    vanilla, protocol_id = study.space.base.network_id, study.protocol.protocol_id
    seen = [seed for seed in measuring if id_of((vanilla, protocol_id, seed)) in weights]
    if seen:
        yield (
            f"The map has looked at vanilla networks of seeds that measure: "
            f"{', '.join(map(str, seen))}. `stac classrepsim` makes one that does not."
        )


def _diverged(bench: Bench) -> str:
    """Which trainings diverged; a long list is cut."""
    results = bench.results
    rows = np.flatnonzero(~results.is_sound_N)
    named = [
        f"{', '.join(str(s or 'off') for s in bench.cells_NT[row])} ({results.network_ids[row]})"
        for row in rows[:MOST_NAMED]
    ]
    more = f", and {len(rows) - MOST_NAMED} more" if len(rows) > MOST_NAMED else ""
    return (
        f"{results.diverged_NS.sum()} trainings diverged; they count as chance, and their networks "
        f"are never the best: {'; '.join(named)}{more}."
    )
