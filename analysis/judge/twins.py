"""What attention adds beyond its cost: the best network and the pick minus their widened twins."""

import numpy as np

from analysis.judge.answers import answers_from_table
from analysis.judge.bench import Bench
from analysis.judge.judged import Contrast
from analysis.judge.results import results_from_table
from search.store.extras import compared_with_twins
from search.store.past import Past
from search.store.testset import image_groups
from stacnet.spec import spec_from_dict


def twin_contrasts(past: Past) -> tuple[Contrast, ...]:
    """Paired on the finalists' fresh seeds, which neither chose the network nor its twins."""
    ids = {one.reason: spec_from_dict(one.spec) for one in past.extras.finalists}
    pairs = [
        (whose, name)
        for whose in compared_with_twins(past.study)
        for name in ids
        if name.endswith(f") of {whose}") and ids[name] != ids.get(whose)
    ]
    if not pairs:
        return ()
    known = tuple(dict.fromkeys(ids[name].network_id for pair in pairs for name in pair))
    bench = _bench(past, known)
    found = (
        bench.contrast(
            f"{whose} minus {name.removesuffix(f' of {whose}')}",
            *(bench.results.row[ids[one].network_id] for one in (whose, name)),
        )
        for whose, name in pairs
    )
    return tuple(one for one in found if one.difference.n)


def _bench(past: Past, known: tuple[str, ...]) -> Bench:
    """These networks on the fresh seeds."""
    study, protocol_id = past.study, past.study.protocol.protocol_id
    chance = 1 / study.space.base.classes
    results = results_from_table(
        past.trainings, protocol_id=protocol_id, known=known, chance=chance
    )
    fresh = [i for i, seed in enumerate(results.seeds) if seed in study.finalists.seeds]
    columns = np.array(fresh, np.int64)
    return Bench(
        results=results,
        select_NA=results.val_NS[:, columns],
        measure_NB=results.test_NS[:, columns],
        paired_NB=results.test_NS[:, columns],
        cells_NT=np.zeros((len(known), 0), np.int64),
        margin=study.margin,
        chance=chance,
        num_seeds=len(columns),
        answers=answers_from_table(
            past.trainings,
            results,
            protocol_id=protocol_id,
            chance=chance,
            groups_I=image_groups(past.store.storage),
        ),
        paired_columns=columns,
    )
