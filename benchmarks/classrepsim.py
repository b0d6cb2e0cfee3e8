"""ClassRepSim of a ResNet-50 at 64x64, all blocks, scales 1 to 8 and native.

    python benchmarks/classrepsim.py [--images 5000] [--stem s1] [--dims 6144] [--device cuda]

The stem decides the size of the maps: s1 keeps 64x64, s2 has 32x32, imagenet (torchvision's) 16x16.
Against one training epoch on the same images and against an exact k-NN without projection (at one
tap per stage); prints peak memory, and the change of CRS that the projection causes.
Targets: at most one epoch; at most 0.005.
"""

import argparse
import resource
import time
from collections.abc import Callable, Iterator
from functools import lru_cache, partial

import numpy as np
import torch
import torch.nn.functional as F

from analysis.look.classrepsim import ProbeSet, Settings, look
from analysis.look.knn import Knn
from analysis.look.responses import Sketch
from analysis.look.similarity import neighbour_scores
from stacnet.data.augment import Scaling
from stacnet.data.images import load
from stacnet.data_spec import ScaleSignal
from stacnet.network import build, taps
from stacnet.probe import probing
from stacnet.spec import resnet

SCALES = (1, 2, 4, 8)
Found = dict[tuple[str, int], np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--stem", choices=("s1", "s2", "imagenet"), default="s1")
    parser.add_argument("--dims", type=int, default=6144)
    parser.add_argument("--batch-size", type=int, default=50)
    parser.add_argument("--device", default="cpu")
    chosen = parser.parse_args()
    device = torch.device(chosen.device)
    probes, classes = probe_images(chosen.images, batch_size=chosen.batch_size, device=device)
    spec = resnet(50, classes=classes, stem=chosen.stem)
    network = build(spec).to(device)
    names = taps(spec)
    every = [name for stage in names for name in stage]
    last = [stage[-1] for stage in names]

    epoch_s = train_epoch(network, probes, device=device)
    print(f"one training epoch                     {epoch_s:9.1f} s")
    whole = look(network, probes, taps=every, scales=SCALES, settings=Settings(dims=chosen.dims))
    print(f"map: all blocks, read-outs and layouts {whole.seconds:9.1f} s")
    fast, fast_s = neighbours(network, probes, last, dims=chosen.dims)
    print(f"k-NN, projected, 4 taps, one by one    {fast_s:9.1f} s")
    exact, exact_s = neighbours(network, probes, last, dims=None)
    print(f"k-NN, exact, 4 taps, one by one        {exact_s:9.1f} s")
    off = differences(fast, exact, probes)
    print(f"map / epoch                            {whole.seconds / epoch_s:9.2f}   (target 1)")
    print(f"exact / projected                      {exact_s / fast_s:9.2f}")
    print(f"change of CRS by projection: mean {off.mean():+.4f}, largest {np.abs(off).max():.4f}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated(device) / 2**30
    print(f"peak memory {peak:.2f} GiB (with the exact k-NN)")


def probe_images(images: int, *, batch_size: int, device: torch.device) -> tuple[ProbeSet, int]:
    """Layouts of 8x8 cells at 64x64 pixels, half gallery and half queries."""
    splits = load(ScaleSignal(grid=8, layouts=30, size=64, train=64, val=images, test=64))
    scaling = Scaling(splits.mean_C, splits.std_C, device=device)

    def batches() -> Iterator[torch.Tensor]:
        for start in range(0, images, batch_size):
            part = splits.val.take(slice(start, start + batch_size))
            yield scaling.normalise(torch.from_numpy(part).to(device))

    labels_N = splits.val.labels_N
    half = images // 2
    return (
        ProbeSet(batches=batches, labels_N=labels_N, num_gallery=half, classes=splits.classes),
        splits.classes,
    )


def train_epoch(network: torch.nn.Module, probes: ProbeSet, *, device: torch.device) -> float:
    """Seconds of one plain SGD epoch on the same images; the network has learned a little then."""
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9)
    network.train()
    started, first = time.perf_counter(), 0
    for x_BCHW in probes.batches():
        y_B = torch.from_numpy(probes.labels_N[first : first + len(x_BCHW)]).to(device)
        optimizer.zero_grad()
        F.cross_entropy(network(x_BCHW), y_B).backward()
        optimizer.step()
        first += len(x_BCHW)
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def neighbours(
    network: torch.nn.Module, probes: ProbeSet, names: list[str], *, dims: int | None
) -> tuple[Found, float]:
    """Neighbours at the pooled scales, one forward pass per tap; and the seconds it took.

    Args:
        dims: after projection; None for none. Native maps would not fit in memory without.
    """
    found: Found = {}
    started = time.perf_counter()
    network.eval()
    for name in names:
        parts: dict[int, list[torch.Tensor]] = {scale: [] for scale in SCALES}
        keep = partial(keep_vectors, parts, sketching(dims) if dims else None)
        with torch.inference_mode(), probing(network, [name], scales=SCALES, receive=keep):
            for x_BCHW in probes.batches():
                network(x_BCHW)
        for scale, vectors in parts.items():
            if not vectors:  # the map is smaller than that
                continue
            knn, x_ND = Knn(), torch.cat(vectors)
            knn.add(x_ND[: probes.num_gallery], torch.empty(0))
            found[name, scale] = knn.look(x_ND[probes.num_gallery :]).cpu().numpy()
    return found, time.perf_counter() - started


def keep_vectors(
    parts: dict[int, list[torch.Tensor]],
    sketch_of: Callable[[int], Sketch] | None,
    tap: str,
    scale: int | None,
    v_BCS: torch.Tensor,
) -> None:
    """Keep a batch of one scale, sketched if there is a sketch for vectors of its length."""
    assert scale is not None
    x_BD = v_BCS.flatten(1).clone()
    parts[scale].append(sketch_of(x_BD.shape[1])(x_BD) if sketch_of else x_BD)


def sketching(dims: int) -> Callable[[int], Sketch]:
    """The sketch for vectors of a length, always the same one."""
    return lru_cache(lambda num: Sketch(num, dims=dims, generator=torch.Generator().manual_seed(0)))


def differences(projected: Found, exact: Found, probes: ProbeSet) -> np.ndarray:
    """CRS with projection minus CRS without, for every tap and scale."""
    labels_G, labels_Q = probes.gallery_labels_G, probes.query_labels_Q
    scores = [
        [float(neighbour_scores(one[key], labels_G, labels_Q).mean()) for key in exact]
        for one in (projected, exact)
    ]
    return np.array(scores[0]) - np.array(scores[1])


if __name__ == "__main__":
    main()
