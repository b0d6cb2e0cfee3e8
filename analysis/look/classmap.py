"""The map: class consistency, layout share and headroom per place and scale, with errors.

Every number is a macro mean over classes of per-query scores, or of paired differences of them;
errors come from resampling queries within their class (never the gallery) and, with several
vanilla networks, from their spread. Shapes: S vanilla networks, Q queries, R resamples, K classes.
"""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Estimator = Literal["knn", "ncm", "ridge"]  # how a cell is read: see analysis.look.knn


class Place(NamedTuple):
    """A row of the map: a tap, or a stage as the mean over its taps.

    Args:
        stage: number from 0; -1 for a single tap.
        max_cells: leave finer scales out; None keeps all.
    """

    name: str
    stage: int
    taps: tuple[str, ...]
    max_cells: int | None = None


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One cell of the map. Accuracy-like values are 0 at chance and 1 at the ceiling.

    Args:
        source: whose map: trained, or one of the controls (analysis.look.controls).
        place: tap, or stage as a mean over its taps.
        stage: number from 0; -1 for a single tap.
        cells: cells per side of the pooled map; native says whether that is no pooling.
        crs: class consistency.
        lay: CRS minus CRS with each image's cells permuted; NaN where not read.
        head: CRS minus CRS of the source's last layer at one cell.
        gain: CRS minus CRS of the same place at one cell.
        below_best: CRS of the place's best scale minus CRS.
        retention, agreement, rank: of neighbourhoods (Jaccard), class responses (overlap) and
            class matrices (Spearman) against the native map; NaN where not read.
        bag: CRS of the cells as a set; NaN where not read.
        dimension: intrinsic dimension of the responses (TwoNN); NaN where not read.
        *_se: standard errors; paired for differences.
        matrix: class matrix, row by row; empty where not kept.
    """

    source: str
    estimator: Estimator
    place: str
    stage: int
    cells: int
    native: bool
    crs: float
    crs_se: float
    lay: float
    lay_se: float
    head: float
    head_se: float
    gain: float
    gain_se: float
    below_best: float
    below_best_se: float
    retention: float
    agreement: float
    rank: float
    bag: float
    bag_se: float
    dimension: float = float("nan")
    matrix: tuple[float, ...] = field(default=(), repr=False)


class Draws(NamedTuple):
    """One cell of the map of stages, read again and again from other queries and networks.

    Args:
        crs: of each draw; the same draws for all cells.
        last: CRS of the last layer at one cell, of each draw.
    """

    stage: int
    cells: int
    crs: tuple[float, ...]
    last: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class ClassRepMap:
    """The map of one network architecture and of its controls.

    Args:
        readings: every cell.
        num_networks, num_queries, num_gallery, classes: what it rests on.
        left_out: classes of the data with too few validation images to take part.
        draws: of the trained network's stages by nearest neighbours; not kept in files.
    """

    readings: tuple[Reading, ...]
    num_networks: int
    num_queries: int
    num_gallery: int
    classes: int
    left_out: int = 0
    draws: tuple[Draws, ...] = field(default=(), repr=False, compare=False)

    def select(
        self, *, source: str = "trained", estimator: Estimator = "knn"
    ) -> tuple[Reading, ...]:
        """The readings of one source and estimator."""
        return tuple(r for r in self.readings if (r.source, r.estimator) == (source, estimator))

    def stages(
        self, *, source: str = "trained", estimator: Estimator = "knn"
    ) -> tuple[tuple[Reading, ...], ...]:
        """Per stage, its readings from the coarsest to the native scale."""
        chosen = [r for r in self.select(source=source, estimator=estimator) if r.stage >= 0]
        return tuple(
            tuple(sorted((r for r in chosen if r.stage == stage), key=lambda r: r.cells))
            for stage in range(1 + max((r.stage for r in chosen), default=-1))
        )
