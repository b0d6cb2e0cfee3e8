"""From a pooled map to the vectors that are compared: sketch, permuted layout, bag of cells.

Shapes: B images, C channels, S = s*s cells, D = C*S, M sketched features.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


class Sketch:
    """A random projection D -> M that keeps cosines in expectation (count sketch, Charikar 2002).

    Every input feature gets a random sign and is added to one of M sums, in turn: one pass over the
    features without a gather, D floats of memory. With D <= M the features stay as they are: their
    cosines are then exact, and padding them to M with zeros would change none, so all scales are
    compared in the same M dimensions.
    """

    def __init__(self, features: int, *, dims: int, generator: torch.Generator) -> None:
        self.dims = dims
        self.keep = features <= dims
        if not self.keep:
            self._sign = torch.randint(0, 2, (features,), generator=generator).float() * 2 - 1

    def __call__(self, x_BD: Tensor) -> Tensor:
        """Sketch of each row: (B, min(D, M))."""
        if self.keep:
            return x_BD
        self._sign = self._sign.to(x_BD.device)
        signed_BD = F.pad(x_BD * self._sign, (0, -x_BD.shape[1] % self.dims))
        return signed_BD.view(len(x_BD), -1, self.dims).sum(1)


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
    order_BS = torch.rand((num_images, cells), generator=generator).argsort(1).to(x_BCS.device)
    return x_BCS.gather(2, order_BS[:, None].expand(-1, channels, -1))
