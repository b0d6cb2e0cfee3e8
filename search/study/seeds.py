"""Seeds that select and seeds that measure: what a map may see, and what judges it."""

from collections.abc import Sequence


def split_seeds(
    planned: Sequence[int], found: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Seeds A (select), B (measure), and fresh ones (finalists, measure too).

    A is the first half of the study's seeds; with a single one A and B are the same, and no
    verdict follows from it.
    """
    ours = tuple(sorted(set(planned) & set(found))) or tuple(sorted(found))
    fresh = tuple(sorted(set(found) - set(ours)))
    half = max(1, len(ours) // 2)
    return ours[:half], ours[half:] or ours[:half], fresh


def seeds_to_look_at(planned: Sequence[int], trained: Sequence[int]) -> tuple[int, ...]:
    """Of the vanilla networks that are trained, those whose seeds do not measure.

    All of them where none is: then a comparison says so.
    """
    seeds_a, _, _ = split_seeds(planned, planned)
    return tuple(seed for seed in trained if seed in seeds_a) or tuple(trained)
