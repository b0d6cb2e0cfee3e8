"""What a map that knows nothing reaches: random maps, and a predictor's own values dealt anew.

Shapes: N networks, T stages, M draws, P pairs of networks, F factors of the space.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from search.study.networks import Networks
from search.study.space import Factor

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
DRAWS = 2000  # the smallest p is 1 in 2001: small enough to survive Holm over 40 predictors
MOST_PAIRS = 5_000  # of networks; more are a seeded sample, the same for a tau and for its null
MOST_POINTS = 20_000  # of a space whose settings are dealt: each has to be described
MOST_RANKED = 2000  # networks that are ranked
CHUNK = 100  # deals between two looks at whether more are needed
ENOUGH = (
    25  # deals as good as the predictor: then its p is known well enough (Besag & Clifford 1991)
)


def settled_taus(score_NM: Floats, accuracy_N: Floats, *, seed: int = 0) -> Floats:
    """Kendall's tau-b of each column of scores with accuracy: (M,); NaN where one is constant.

    Over all pairs of networks, or over a sample of `MOST_PAIRS`. A NaN of a score takes its pairs
    out of its own tau.
    """
    first_P, second_P = _pairs(len(accuracy_N), seed=seed)
    truth_P = np.sign(accuracy_N[first_P] - accuracy_N[second_P]).astype(np.float32)
    rank_NM, has_gaps = score_NM.astype(np.float32), bool(np.isnan(score_NM).any())
    agree_M, told_M, truth_M = np.zeros((3, score_NM.shape[1]))
    blocks = 1 + score_NM.shape[1] * len(truth_P) // 10**6  # bounds memory
    for at in np.array_split(np.arange(len(truth_P)), blocks):
        sign_PM = rank_NM[first_P[at]]
        sign_PM -= rank_NM[second_P[at]]
        np.sign(sign_PM, out=sign_PM)
        if has_gaps:
            truth_M += np.abs(truth_P[at]) @ np.isfinite(sign_PM)
            np.nan_to_num(sign_PM, copy=False)
        else:
            truth_M += np.abs(truth_P[at]).sum()
        agree_M += truth_P[at] @ sign_PM
        told_M += np.count_nonzero(sign_PM, axis=0)
    scale_M = np.sqrt(told_M * truth_M)
    return np.divide(agree_M, scale_M, out=np.full(len(scale_M), np.nan), where=scale_M > 0)


def _pairs(num_networks: int, *, seed: int) -> tuple[Ints, Ints]:
    first_P, second_P = np.triu_indices(num_networks, 1)
    if len(first_P) > MOST_PAIRS:
        kept = np.random.default_rng(seed).choice(len(first_P), MOST_PAIRS, replace=False)
        first_P, second_P = first_P[kept], second_P[kept]
    return first_P, second_P


def random_maps(cells_NT: Ints, *, draws: int, rng: np.random.Generator) -> Floats:
    """Scores of random additive maps, a normal value for each scale of each stage: (N, M)."""
    total_NM = np.zeros((len(cells_NT), draws))
    for column in cells_NT.T:
        scales, code_N = np.unique(column, return_inverse=True)
        total_NM += rng.standard_normal((len(scales), draws))[code_N]
    return total_NM


def detectable_tau(cells_NT: Ints, *, level: float, truths: int = 50, seed: int = 0) -> float:
    """The tau below which no map of this space is told apart from a random one, at any seeds.

    The quantile of |tau| between random maps and random additive truths; known before a search.
    NaN for fewer than two networks that differ.

    Args:
        level: of the two-sided test.
    """
    rng = np.random.default_rng(seed)
    cells_NT = cells_NT[rng.permutation(len(cells_NT))[:MOST_RANKED]]
    found = [
        settled_taus(
            random_maps(cells_NT, draws=CHUNK, rng=rng),
            random_maps(cells_NT, draws=1, rng=rng)[:, 0],
        )
        for _ in range(truths)
    ]
    taus = np.abs(np.concatenate(found))
    return float(np.quantile(taus[np.isfinite(taus)], 1 - level)) if len(cells_NT) > 1 else np.nan


def share_at_least(null_M: Floats, value: float) -> float:
    """p: the share of draws at least as far from 0 as `value`, itself among them; NaN for none."""
    null_M = np.abs(null_M[np.isfinite(null_M)])
    if np.isnan(value) or not len(null_M):
        return float("nan")
    return float((1 + (null_M >= abs(value) - 1e-6).sum()) / (1 + len(null_M)))


@dataclass(frozen=True, eq=False)
class Nulls:
    """What knows nothing, on the networks of one study.

    Args:
        cells_NT: scale per stage, 0 for none.
        accuracy_N: what they reached; NaN where not trained.
        among: the same networks in their space; without it nothing is dealt.
    """

    cells_NT: Ints
    accuracy_N: Floats
    among: Networks | None = None
    seed: int = 0

    @cached_property
    def rows(self) -> Ints:
        """The trained networks, or a sample of them."""
        trained = np.flatnonzero(np.isfinite(self.accuracy_N))
        return np.random.default_rng(self.seed).permutation(trained)[:MOST_RANKED]

    @cached_property
    def _random_maps(self) -> dict[bytes, Floats]:
        return {}

    def random_maps_M(self, score_N: Floats) -> Floats:
        """|tau| of random maps on the networks that a predictor scores; empty for fewer than two.

        A rule gives static gates no score: a map that ranked them too would reach less.
        """
        scored = self.rows[np.isfinite(score_N[self.rows])]
        key = scored.tobytes()
        if key not in self._random_maps:
            self._random_maps[key] = self._random_taus(scored)
        return self._random_maps[key]

    def _random_taus(self, rows: Ints) -> Floats:
        if len(rows) < 2:
            return np.zeros(0)
        rng = np.random.default_rng(self.seed)
        score_NM = random_maps(self.cells_NT[rows], draws=DRAWS, rng=rng)
        found_M = np.abs(settled_taus(score_NM, self.accuracy_N[rows], seed=self.seed))
        return found_M[np.isfinite(found_M)]

    def random_map_p(self, score_N: Floats) -> float:
        """Two-sided p of a predictor's tau among random maps."""
        return share_at_least(self.random_maps_M(score_N), self._tau(score_N))

    def dealt_p(self, score_N: Floats) -> float:
        """Two-sided p among the predictor's own values, dealt anew within each stage.

        A predictor that depends on one stage alone has few values, and few ways to deal them: it
        cannot do better than one of them. A setting that a space has besides (kernel, kind, ...)
        is dealt, too. NaN for a space of more than `MOST_POINTS`.
        """
        return self._dealt_p(score_N, self.dealt_rows_MN)

    def on_scales_p(self, score_N: Floats) -> float:
        """The same with scales dealt among each other only: off stays off, other settings stay.

        Small if a predictor knows scales, and not merely that some attention is better than none.
        """
        return self._dealt_p(score_N, self.on_scales_rows_MN)

    def _dealt_p(self, score_N: Floats, dealt_rows_MN: NDArray[np.int32]) -> float:
        value, found = self._tau(score_N), np.zeros(0)
        if np.isnan(value) or not len(dealt_rows_MN):
            return float("nan")
        padded_N = np.append(_ranks(score_N), np.nan)  # -1: the space has no such network
        is_scored_N = np.isfinite(score_N[self.rows])
        for dealt_MN in np.array_split(dealt_rows_MN, DRAWS // CHUNK):
            dealt_NM = np.where(is_scored_N[:, None], padded_N[dealt_MN].T, np.nan)
            found = np.append(found, self._taus(dealt_NM))
            if (np.abs(found) >= abs(value) - 1e-6).sum() >= ENOUGH:
                break
        return share_at_least(found, value)

    @cached_property
    def dealt_rows_MN(self) -> NDArray[np.int32]:
        """For each deal, whose score each ranked network gets: (M, N), -1 for nobody's."""
        return self._deals(_all_but_static)

    @cached_property
    def on_scales_rows_MN(self) -> NDArray[np.int32]:
        """The same where only scales are dealt, and off is none; empty if no stage has two."""
        return self._deals(_scales_but_off)

    def _deals(self, dealt: Callable[[Factor], Sequence[int]]) -> NDArray[np.int32]:
        """Deals of those choices of each factor; the others stay."""
        among, rng = self.among, np.random.default_rng(self.seed + 1)
        if among is None or among.space.size() > MOST_POINTS or len(self.rows) < 2:
            return np.zeros((0, len(self.rows)), np.int32)
        space, row_of_point = among.space, among.row_of_points().astype(np.int32)
        movable = [np.array(dealt(factor), np.int64) for factor in space.factors]
        if max(map(len, movable)) < 2:
            return np.zeros((0, len(self.rows)), np.int32)
        digits_NF = np.array([space.digits(among.points[row]) for row in self.rows])
        point_MN = np.zeros((DRAWS, len(self.rows)), np.int64)
        for digit_N, factor, at in zip(digits_NF.T, space.factors, movable, strict=True):
            given = np.tile(np.arange(len(factor.choices)), (DRAWS, 1))
            given[:, at] = rng.permuted(given[:, at], axis=1)
            point_MN = point_MN * len(factor.choices) + given[:, digit_N]
        return row_of_point[point_MN]

    def needed(self, score_N: Floats, level: float) -> float:
        """The |tau| that random maps exceed with this probability; NaN if there are none."""
        null_M = self.random_maps_M(score_N)
        return float(np.quantile(null_M, 1 - level)) if len(null_M) else float("nan")

    def _taus(self, score_NM: Floats) -> Floats:
        return settled_taus(score_NM, self.accuracy_N[self.rows], seed=self.seed)

    def _tau(self, score_N: Floats) -> float:
        if len(self.rows) < 2:
            return float("nan")
        return float(self._taus(_ranks(score_N)[self.rows, None])[0])


def _all_but_static(factor: Factor) -> tuple[int, ...]:
    """Static gates have no score under a rule: dealt one, they would be ranked, and others not."""
    return tuple(i for i, choice in enumerate(factor.choices) if choice != "static")


def _scales_but_off(factor: Factor) -> tuple[int, ...]:
    is_scale = factor.name.endswith("_scale")
    return tuple(i for i, choice in enumerate(factor.choices) if is_scale and choice != "off")


def _ranks(score_N: Floats) -> Floats:
    """Scores as ranks, which single precision holds; NaN stays."""
    known_N = np.isfinite(score_N)
    rank_N = np.full(len(score_N), np.nan)
    rank_N[known_N] = np.unique(score_N[known_N], return_inverse=True)[1]
    return rank_N
