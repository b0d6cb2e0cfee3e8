"""Peak memory and rate of `prepare` on official files of 64x64 images, and a kill in the middle.

Writes ten training batches and `val_data`, kills the first preparation half way, resumes it, and
verifies the result: `python benchmarks/prepare_memory.py [--images 200000]`. Needs about 5 GB of
disk for 200,000 images.
"""

import argparse
import multiprocessing
import os
import pickle
import signal
import tempfile
import time
from pathlib import Path

import numpy as np

from stacnet.data.cache import open_cache, verify
from stacnet.data.prepare import open_source, prepare

SIZE = 64


def write_official(folder: Path, *, images: int) -> None:
    """Batches of equal length in the official format, random pixels."""
    rng = np.random.default_rng(0)
    per_batch = images // 10
    for name in (*(f"train_data_batch_{batch}" for batch in range(1, 11)), "val_data"):
        num = per_batch if name != "val_data" else max(1, per_batch // 10)
        pixels = rng.integers(0, 256, (num, 3 * SIZE**2), dtype=np.uint8)
        content = {"data": pixels, "labels": rng.integers(1, 1001, num).tolist()}
        with (folder / name).open("wb") as file:
            pickle.dump(content, file, protocol=4)


def prepare_once(official: Path, target: Path, kill_at: int) -> None:
    """Prepare in this process; after `kill_at` images kill it. Prints rate and peak memory."""
    start, begun = time.perf_counter(), -1

    def progress(done: int, total: int) -> None:
        nonlocal begun
        begun = done if begun < 0 else begun
        if 0 < kill_at <= done:
            print(f"killed at {done:,} of {total:,} images", flush=True)
            os.kill(os.getpid(), signal.SIGKILL)

    prepare(open_source(official), target, progress=progress)
    # Not ru_maxrss: Linux hands that of the parent down to a new process.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    peak = int(status["VmHWM"].split()[0]) / 1024
    seconds = time.perf_counter() - start
    print(f"first block of this process ended at image {begun:,}; {seconds:.1f} s")
    print(f"peak memory of the process: {peak:,.0f} MiB (limit: 1,024)", flush=True)


def main() -> None:
    """Write, kill, resume, verify."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=200_000)
    arguments = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as name:
        official, target = Path(name) / "official", Path(name) / "cache"
        official.mkdir()
        write_official(official, images=arguments.images)
        for kill_at in (arguments.images // 2, 0):
            process = context.Process(target=prepare_once, args=(official, target, kill_at))
            process.start()
            process.join()
            print(f"exit code {process.exitcode}, cache exists: {target.exists()}", flush=True)
        verify(target)
        cache = open_cache(target)
        print(f"verified {len(cache.train[1]):,} + {len(cache.test[1]):,} images")


if __name__ == "__main__":
    main()
