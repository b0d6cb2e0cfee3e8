"""From a pooled map to the vectors that are compared: sketch, permuted layout, bag of cells.

Shapes: B images, C channels, S = s*s cells, D = C*S, M sketched features, R directions.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

DIRECTIONS = 16  # of the features that are not sketched


class Sketch:
    """A random projection D -> M that keeps cosines in expectation (count sketch, Charikar 2002).

    Every input feature gets a random sign and is added to one of M sums, in turn: one pass over
    the features without a gather. Its error grows with the length of what is projected, much of
    which lies in few directions: the strongest of the first batch are kept as they are, in R
    numbers more, and the rest alone is projected (docs/decisions/projection.md). Memory:
    D * (1 + R) floats. With D <= M the features stay as they are: their cosines are then exact,
    and padding them with zeros would change none, so all scales are compared in the same M + R
    dimensions.

    Args:
        features: D.
        dims: M.
        generator: of the signs.
        directions: R.

    Attributes:
        width: number of features of the sketch.
    """

    def __init__(
        self, features: int, *, dims: int, generator: torch.Generator, directions: int = DIRECTIONS
    ) -> None:
        self.dims = dims
        self.directions = directions
        self.keep = features <= dims
        self.width = features if self.keep else dims + directions
        self._basis_RD: Tensor | None = None
        if not self.keep:
            self._sign = torch.randint(0, 2, (features,), generator=generator).float() * 2 - 1

    def __call__(self, x_BD: Tensor) -> Tensor:
        """Sketch of each row: (B, M + R), or (B, D) if that is not more than M."""
        if self.keep:
            return x_BD
        self._sign = self._sign.to(x_BD.device)
        if self._basis_RD is None:
            self._basis_RD = strongest_directions(x_BD, self.directions)
            self._shadow_RM = self._project(self._basis_RD)
        along_BR = x_BD @ self._basis_RD.T
        return torch.cat([along_BR, self._project(x_BD) - along_BR @ self._shadow_RM], dim=1)

    def _project(self, x_BD: Tensor) -> Tensor:
        signed_BD = x_BD * self._sign
        whole = x_BD.shape[1] // self.dims * self.dims
        sums_BM = signed_BD[:, :whole].view(len(x_BD), whole // self.dims, self.dims).sum(1)
        sums_BM[:, : x_BD.shape[1] - whole] += signed_BD[:, whole:]
        return sums_BM


def strongest_directions(x_BD: Tensor, directions: int) -> Tensor:
    """Orthonormal directions in which the rows differ most: (R, D); zeros where there are fewer."""
    centred_BD = x_BD - x_BD.mean(0)
    values_B, vectors_BB = torch.linalg.eigh((centred_BD @ centred_BD.T).double())
    kept_BR = vectors_BB.flip(1)[:, :directions]
    values_R = values_B.flip(0)[:directions]
    scale_R = values_R.clamp(min=1e-30).rsqrt() * (values_R > 1e-6 * values_R[:1])
    basis_RD = (kept_BR * scale_R).to(x_BD.dtype).T @ centred_BD
    return F.pad(basis_RD, (0, 0, 0, directions - len(basis_RD)))


class Bag:
    """An image as the set of its cells: mean random Fourier features of the cells' channels.

    The inner product of two bags estimates a Gaussian kernel averaged over all pairs of cells
    (Rahimi & Recht 2007), so where a cell lies does not matter. The bandwidth is set by the first
    batch, which makes the bag blind to the scale of the features.
    """

    def __init__(self, channels: int, *, dims: int, generator: torch.Generator) -> None:
        self._frequency = torch.randn((channels, dims), generator=generator)
        self._phase = torch.rand(dims, generator=generator) * 2 * torch.pi
        self._bandwidth: Tensor | None = None

    def __call__(self, x_BCS: Tensor) -> Tensor:
        """Bag of each image: (B, M)."""
        if self._bandwidth is None:
            self._frequency = self._frequency.to(x_BCS.device)
            self._phase = self._phase.to(x_BCS.device)
            variance = x_BCS.var((0, 2), correction=0).sum()
            self._bandwidth = (2 * variance).clamp(min=1e-30).sqrt()
        cells_BSC = x_BCS.transpose(1, 2) / self._bandwidth
        return (cells_BSC @ self._frequency + self._phase).cos().mean(1)


def permute_cells(x_BCS: Tensor, *, generator: torch.Generator) -> Tensor:
    """Each image's cells in a random order of its own; the channels of a cell stay together."""
    num_images, channels, cells = x_BCS.shape
    keys_BS = torch.rand((num_images, cells), generator=generator)
    order_BS = keys_BS.to(x_BCS.device).argsort(1)
    return x_BCS.gather(2, order_BS[:, None].expand(-1, channels, -1))
