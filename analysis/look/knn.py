"""How an image's class is read from its neighbours: k nearest, nearest class mean, ridge probe.

Each estimator is fed gallery batches with `add` and then answers query batches with `look`; no
matrix of all pairs is ever made. Shapes: B images, M features, G gallery, K classes, k neighbours.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

SAME = 1e-12  # squared distance of responses that are the same
BLOCK = 4096  # gallery rows compared at once: bounds memory at B * BLOCK similarities


class Knn:
    """k nearest gallery images by cosine of features centred on the gallery's mean.

    Memory: the gallery, G * M floats.
    """

    def __init__(self, *, k: int = 10) -> None:
        self.k = k
        self._parts: list[Tensor] = []
        self._centred: tuple[Tensor, Tensor] | None = None
        self._log_ratios: list[Tensor] = []

    def add(self, x_BM: Tensor, labels_B: Tensor) -> None:
        """Add gallery images; labels are not needed to find neighbours."""
        self._parts.append(x_BM)

    def look(self, x_BM: Tensor) -> Tensor:
        """Gallery positions of the k nearest neighbours, nearest first: (B, k).

        Raises:
            ValueError: the gallery has no more than k images: all would be neighbours of all.
        """
        mean_M, gallery_GM = self._gallery()
        query_BM = F.normalize(x_BM - mean_M, dim=1)
        best_Bk = torch.empty((len(x_BM), 0), dtype=gallery_GM.dtype, device=x_BM.device)
        index_Bk = torch.empty((len(x_BM), 0), dtype=torch.int64, device=x_BM.device)
        for start in range(0, len(gallery_GM), BLOCK):
            block_LM = gallery_GM[start : start + BLOCK]
            similar_Bk, at_Bk = (query_BM @ block_LM.T).topk(min(self.k, len(block_LM)), dim=1)
            best_Bk = torch.cat([best_Bk, similar_Bk], dim=1)
            index_Bk = torch.cat([index_Bk, at_Bk + start], dim=1)
            best_Bk, keep_Bk = best_Bk.topk(min(self.k, best_Bk.shape[1]), dim=1)
            index_Bk = index_Bk.gather(1, keep_Bk)
        self._log_ratios.append(_log_ratio(query_BM, gallery_GM[index_Bk[:, :2]]))
        return index_Bk

    def dimension(self) -> float:
        """Intrinsic dimension of the responses, from the two nearest neighbours of each query.

        TwoNN (Facco et al. 2017) as its unbiased maximum likelihood (Denti et al. 2022): the ratio
        of the two distances is a Pareto variable with the dimension as exponent. NaN before a look.
        """
        if not self._log_ratios:
            return float("nan")
        log_B = torch.cat(self._log_ratios)
        total = float(log_B.sum())
        return (len(log_B) - 1) / total if total > 0 else float("nan")

    def _gallery(self) -> tuple[Tensor, Tensor]:
        if self._centred is None:
            x_GM = torch.cat(self._parts)
            self._parts = []
            if len(x_GM) <= self.k:
                raise ValueError(
                    f"gallery must hold more than k images, got {len(x_GM)} k={self.k}"
                )
            mean_M = x_GM.mean(0)
            self._centred = mean_M, F.normalize(x_GM - mean_M, dim=1)
        return self._centred


def _log_ratio(query_BM: Tensor, near_B2M: Tensor) -> Tensor:
    """Log of the second distance over the first, of each query; images seen twice left out.

    From differences: a cosine near 1 does not tell close neighbours apart.
    """
    if near_B2M.shape[1] < 2:
        return query_BM.new_zeros(0, dtype=torch.float64)
    squared_B2 = (query_BM[:, None] - near_B2M).square().sum(2).double()
    squared_B2 = squared_B2[squared_B2[:, 0] > SAME]
    return (squared_B2[:, 1] / squared_B2[:, 0]).log() / 2


class Ncm:
    """Nearest class mean (Euclidean), streaming. Memory: K * M floats."""

    def __init__(self, *, classes: int) -> None:
        self.classes = classes
        self._sums_KM: Tensor | None = None
        self._counts_K = torch.zeros(classes, dtype=torch.float64)

    def add(self, x_BM: Tensor, labels_B: Tensor) -> None:
        """Add gallery images to the sums of their classes."""
        if self._sums_KM is None:
            self._sums_KM = x_BM.new_zeros((self.classes, x_BM.shape[1]), dtype=torch.float64)
            self._counts_K = self._counts_K.to(x_BM.device)
        self._sums_KM.index_add_(0, labels_B, x_BM.double())
        self._counts_K += torch.bincount(labels_B, minlength=self.classes)

    def look(self, x_BM: Tensor) -> Tensor:
        """The nearest class: (B, 1)."""
        assert self._sums_KM is not None, "look before add"
        means_KM = self._sums_KM / self._counts_K.clamp(min=1)[:, None]
        x_BM = x_BM.double()
        near_BK = 2 * x_BM @ means_KM.T - means_KM.square().sum(1)
        near_BK = near_BK.masked_fill(self._counts_K == 0, -torch.inf)
        return near_BK.argmax(1, keepdim=True)


class Ridge:
    """Linear probe: ridge regression on one-hot classes, streaming. Memory: M * (M + K) floats."""

    def __init__(self, *, classes: int, penalty: float = 1e-2) -> None:
        self.classes = classes
        self.penalty = penalty
        self._gram: Tensor | None = None
        self._target: Tensor | None = None
        self._weights: Tensor | None = None

    def add(self, x_BM: Tensor, labels_B: Tensor) -> None:
        """Add gallery images to the normal equations."""
        x_BN = _with_one(x_BM)
        y_BK = F.one_hot(labels_B, self.classes).double()
        if self._gram is None or self._target is None:
            self._gram, self._target = x_BN.T @ x_BN, x_BN.T @ y_BK
        else:
            self._gram += x_BN.T @ x_BN
            self._target += x_BN.T @ y_BK

    def look(self, x_BM: Tensor) -> Tensor:
        """The class with the largest regression value: (B, 1)."""
        if self._weights is None:
            self._weights = self._solved()
        return (_with_one(x_BM) @ self._weights).argmax(1, keepdim=True)

    def _solved(self) -> Tensor:
        assert self._gram is not None, "look before add"
        assert self._target is not None, "look before add"
        ridge = self._gram.diagonal().mean().expand(len(self._gram)) * self.penalty
        ridge = torch.cat([ridge[:-1], ridge.new_tensor([1e-9])])  # the intercept is not shrunk
        return torch.linalg.solve(self._gram + ridge.diag(), self._target)


def _with_one(x_BM: Tensor) -> Tensor:
    return F.pad(x_BM.double(), (0, 1), value=1.0)
