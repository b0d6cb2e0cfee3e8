"""ClassRepSim: one pass of probe images through a network, read out at every tap and scale.

A reconstruction of Hryniowski & Wong (2023, arXiv 2306.10128), of which only the abstract is
public (docs/method.md, section 2). Shapes: N probe images, Q queries, G gallery, k neighbours.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, assert_never

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from analysis.look.classmap import Estimator
from analysis.look.knn import Knn, Ncm, Ridge
from analysis.look.responses import Bag, Sketch, permute_cells
from stacnet.probe import probing

Variant = Literal["full", "permuted", "bag"]
Key = tuple[str, int, Variant, Estimator]  # tap, cells per side, ...
READOUTS: tuple[tuple[Variant, Estimator], ...] = (
    ("full", "knn"),
    ("permuted", "knn"),
    ("bag", "knn"),
    ("full", "ncm"),
    ("full", "ridge"),
)

BAG_DIMS = 256  # random features of a bag
RIDGE_DIMS = 256  # a ridge probe costs dims squared per image, and must not outnumber the gallery
MAX_PERMUTED_CELLS = 1024  # finer maps are not read with permuted cells: a gather per image
MAX_BAG_CELLS = 64  # a bag costs cells * channels * dims; finer maps are not read as bags
MAX_CELLS: dict[Variant, float] = {
    "full": math.inf,
    "permuted": MAX_PERMUTED_CELLS,
    "bag": MAX_BAG_CELLS,
}


@dataclass(frozen=True, kw_only=True)
class ProbeSet:
    """Labelled images a network was not trained on, split into gallery and queries.

    Args:
        batches: called anew for each pass; yields x_BCHW as the network wants it, in order.
        labels_N: class of each image, gallery first.
        num_gallery: the first so many images are the gallery, all others are queries.
        classes: number of classes, all of which occur.
        left_out: classes of the data that do not, for want of images.
    """

    batches: Callable[[], Iterator[Tensor]]
    labels_N: NDArray[np.int64]
    num_gallery: int
    classes: int
    left_out: int = 0

    @property
    def gallery_labels_G(self) -> NDArray[np.int64]:
        return self.labels_N[: self.num_gallery]

    @property
    def query_labels_Q(self) -> NDArray[np.int64]:
        return self.labels_N[self.num_gallery :]


@dataclass(frozen=True)
class Look:
    """What one pass found.

    Args:
        found: per tap, cells, variant and estimator: for `knn` gallery positions (Q, k), for the
            others the predicted class (Q, 1).
        dimension: intrinsic dimension per tap and cells, where neighbours were looked for.
        native: cells per side of each tap's own map.
        seconds: wall time of the pass: network, pooling and estimators.
    """

    found: dict[Key, NDArray[np.int64]]
    dimension: dict[tuple[str, int], float]
    native: dict[str, int]
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How responses are compared.

    Args:
        neighbours: k of `knn`.
        dims: features after the random projection, the same at every scale.
        readouts: which (variant, estimator) are read; each costs time.
        seed: of projections, permuted layouts and bags.
    """

    neighbours: int = 10
    dims: int = 6144
    readouts: tuple[tuple[Variant, Estimator], ...] = READOUTS
    seed: int = 0


DEFAULTS = Settings()


def look(
    model: nn.Module,
    probe_set: ProbeSet,
    *,
    taps: Sequence[str],
    scales: Sequence[int],
    settings: Settings = DEFAULTS,
) -> Look:
    """Read every tap at every scale and at its native size, in one forward pass.

    Args:
        model: any torch module; it is run in eval mode and left as it was.
        taps: names of its modules (see stacnet.probe).
        scales: cells per side; those at or above a tap's map are the tap's native size.

    Raises:
        ValueError: a tap does not exist or gives no map; the gallery is too small; a response is
            no finite number, because images or weights are not.
    """
    started = time.perf_counter()
    session = _Session(probe_set, settings)
    was_training = model.training
    model.eval()
    try:
        with (
            torch.inference_mode(),
            probing(model, taps, scales=(*scales, None), receive=session.receive),
        ):
            for x_BCHW in probe_set.batches():
                session.expect(len(x_BCHW))
                model(x_BCHW)
    finally:
        model.train(was_training)
    return session.look(seconds=time.perf_counter() - started)


class _Session:
    """One pass: hands each pooled map to the reader of its tap and scale, each size once."""

    def __init__(self, probe_set: ProbeSet, settings: Settings) -> None:
        self.probe_set = probe_set
        self.settings = settings
        self.readers: dict[tuple[str, int], _Reader] = {}
        self.native: dict[str, int] = {}
        self._batch = slice(0, 0)
        self._done: set[tuple[str, int]] = set()

    def expect(self, num_images: int) -> None:
        """A batch of so many images follows."""
        self._batch = slice(self._batch.stop, self._batch.stop + num_images)
        self._done.clear()

    def receive(self, tap: str, scale: int | None, v_BCS: Tensor) -> None:
        """A pooled map of the current batch."""
        cells = math.isqrt(v_BCS.shape[2])
        if scale is None:
            self.native[tap] = cells
        if (tap, cells) in self._done:
            return
        self._done.add((tap, cells))
        if not v_BCS.isfinite().all():
            raise ValueError(f"responses must be finite numbers, got others at {tap}")
        if (tap, cells) not in self.readers:
            reader = _Reader(v_BCS, self.settings, classes=self.probe_set.classes)
            self.readers[tap, cells] = reader
        labels_B = torch.from_numpy(self.probe_set.labels_N[self._batch]).to(v_BCS.device)
        num_gallery = max(0, self.probe_set.num_gallery - self._batch.start)
        self.readers[tap, cells].read(v_BCS, labels_B, num_gallery=num_gallery)

    def look(self, *, seconds: float) -> Look:
        """All answers."""
        found = {
            (tap, cells, *readout): answers
            for (tap, cells), reader in self.readers.items()
            for readout, answers in reader.found().items()
        }
        dimension = {site: reader.dimension() for site, reader in self.readers.items()}
        return Look(found, dimension, self.native, seconds)


class _Reader:
    """One tap at one scale: what its estimators have seen and answered."""

    def __init__(self, v_BCS: Tensor, settings: Settings, *, classes: int) -> None:
        channels, cells = v_BCS.shape[1:]
        self._generator = torch.Generator().manual_seed(settings.seed)
        self._sketch = Sketch(channels * cells, dims=settings.dims, generator=self._generator)
        self._ridge_sketch = Sketch(
            self._sketch.width, dims=RIDGE_DIMS, generator=self._generator, directions=0
        )
        self._bag = Bag(channels, dims=BAG_DIMS, generator=self._generator)
        self._estimators = {
            readout: _estimator(readout[1], settings.neighbours, classes)
            for readout in settings.readouts
            if cells <= MAX_CELLS[readout[0]]
        }
        self._answers: dict[tuple[Variant, Estimator], list[Tensor]] = {}

    def read(self, v_BCS: Tensor, labels_B: Tensor, *, num_gallery: int) -> None:
        """The first `num_gallery` images join the gallery, the others are asked about."""
        vectors = {variant: self._vector(v_BCS, variant) for variant, _ in self._estimators}
        for readout, estimator in self._estimators.items():
            x_BM = vectors[readout[0]]
            if readout[1] == "ridge":
                x_BM = self._ridge_sketch(x_BM)
            if num_gallery:
                estimator.add(x_BM[:num_gallery], labels_B[:num_gallery])
            if num_gallery < len(x_BM):
                answer = estimator.look(x_BM[num_gallery:]).cpu()
                self._answers.setdefault(readout, []).append(answer)

    def found(self) -> dict[tuple[Variant, Estimator], NDArray[np.int64]]:
        """All answers, queries in order."""
        return {readout: torch.cat(parts).numpy() for readout, parts in self._answers.items()}

    def dimension(self) -> float:
        """Of the whole responses; NaN if they were not read by neighbours."""
        knn = self._estimators.get(("full", "knn"))
        return knn.dimension() if isinstance(knn, Knn) else float("nan")

    def _vector(self, v_BCS: Tensor, variant: Variant) -> Tensor:
        match variant:
            case "full":
                return self._sketch(v_BCS.flatten(1))
            case "permuted":
                return self._sketch(permute_cells(v_BCS, generator=self._generator).flatten(1))
            case "bag":
                return self._bag(v_BCS)
            case _:
                assert_never(variant)


def _estimator(name: Estimator, neighbours: int, classes: int) -> Knn | Ncm | Ridge:
    match name:
        case "knn":
            return Knn(k=neighbours)
        case "ncm":
            return Ncm(classes=classes)
        case "ridge":
            return Ridge(classes=classes)
        case _:
            assert_never(name)
