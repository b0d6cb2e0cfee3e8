"""Whether the engine stays flat: seconds per trial early and late, and 100,000 stored trainings.

Run: python benchmarks/scale.py [--exhaustive 10000] [--tpe 2000] [--trainings 100000]

The objective is instant. Memory is the driver's high-water mark.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from search.store.history import read_history
from search.store.manifest import load_or_make
from search.store.rows import Effort, training_row
from search.store.schema import CELLS
from search.store.status import status
from search.store.store import Store
from search.study.space import Scale, Space
from search.study.study import Finalists, Sampled, Study
from search.study.training import Job, Training
from stacnet.data_spec import ScaleSignal
from stacnet.protocol import Protocol
from stacnet.spec import resnet

HERE = Path(__file__).parent


def study(networks: int, *, seeds: int = 1) -> Study:
    """A space of at least so many networks."""
    reductions = tuple(range(1, 1 + -(-networks // 512)))
    scales: tuple[Scale, ...] = ("off", 1, 2, 3, 4, 5, 6, 7)
    base = resnet(8, width=64, input_size=32, classes=4)
    space = Space(base=base, scales=(scales,) * 3, reductions=reductions)
    return Study(
        name="scale",
        space=space,
        protocol=Protocol(data=ScaleSignal(layouts=2, size=32, train=128, val=8, test=8)),
        seeds=tuple(range(seeds)),
        finalists=Finalists(seeds=(seeds,)),
    )


def run(kind: str, trials: int, out: str) -> None:
    """A search with an instant objective."""
    sys.path.insert(0, str(HERE.parent / "tests"))
    from trainables import smooth  # pyright: ignore[reportMissingImports]

    from search.drive.run import Options, search

    if kind == "tpe":
        wanted = replace(study(2 * trials), strategy=Sampled(trials=trials))
    else:
        wanted = study(512, seeds=-(-trials // 512))
    search(wanted, out, options=Options(progress=False, stand_in=smooth))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


def searched(kind: str, trials: int) -> None:
    """One line on a search: seconds per trial in its first and last tenth."""
    with tempfile.TemporaryDirectory() as out:
        path = f"{HERE.parent / 'tests'}{os.pathsep}{HERE.parent}"
        done = subprocess.run(
            [sys.executable, __file__, "--run", kind, str(trials), out],
            env=os.environ | {"PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=True,
        )
        ended = sorted(
            m.timestamp() for m in Store(out).trainings(["ended_at"])["ended_at"].to_pylist()
        )
    tenth = max(len(ended) // 10, 2)
    early = (ended[tenth - 1] - ended[0]) / (tenth - 1)
    late = (ended[-1] - ended[-tenth]) / (tenth - 1)
    memory = done.stdout.split()[-1]
    print(
        f"{kind:12}{len(ended):8}{early:12.4f}{late:12.4f}{late / early:8.2f}{memory:>10}",
        flush=True,
    )


def filled(store: Store, trainings: int) -> None:
    """A store with so many finished trainings, in merged files of a thousand."""
    wanted = study(512, seeds=-(-trainings // 512))
    store.begin(wanted)
    among = load_or_make(store.storage, wanted)
    assert among is not None
    protocol_id, moment = wanted.protocol.protocol_id, datetime(2026, 1, 1, tzinfo=UTC)
    effort = Effort(started_at=moment, ended_at=moment, wall_s=2.0, hostname="h", device_name="d")
    rows: list[dict[str, Any]] = []
    for point in among.points:
        spec = wanted.space.spec(point)
        training = Training(spec=spec, protocol_id=protocol_id, seed=0, point=point)
        job = Job(training=training, attempt=0, order=0, gpus=0.0)
        facts = {"val_acc_last": 0.5, "epochs": 0}
        row = training_row(job, wanted, status="complete", effort=effort, facts=facts)
        for seed in wanted.seeds[:-1]:
            ended = moment + timedelta(seconds=len(rows))
            rows.append(row | {"seed": seed, "order": len(rows), "ended_at": ended})
    for start in range(0, len(rows), 1000):
        part = pa.Table.from_pylist(rows[start : start + 1000], schema=CELLS)
        store.write_merged("cells", part)


def stored(trainings: int) -> None:
    """Lines on a large store: status, what a resume reads, compaction."""
    with tempfile.TemporaryDirectory() as out:
        store = Store(out)
        filled(store, trainings)
        began = time.perf_counter()
        now = status(store)
        print(f"status of {now.complete} trainings: {time.perf_counter() - began:.2f} s")
        began = time.perf_counter()
        read_history(store, store.study())
        load_or_make(store.storage, store.study())
        print(f"what a resume reads: {time.perf_counter() - began:.2f} s")
        _timed("--resume", out, "resume to the first trial")
        _timed("--compact", out, "compact")


def _timed(flag: str, out: str, what: str) -> None:
    path = f"{HERE.parent / 'tests'}{os.pathsep}{HERE.parent}"
    command = [sys.executable, __file__, flag, out]
    began = time.time()
    done = subprocess.run(
        command,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    memory, *first = done.stdout.split()
    seconds = float(first[0]) - began if first else time.time() - began
    print(f"{what}: {seconds:.1f} s with the start of Python, {memory} MB at most", flush=True)


def resume_once(out: str) -> None:
    """Resume; prints memory and the moment at which the first new training began."""
    from trainables import smooth  # pyright: ignore[reportMissingImports]

    from search.drive.run import Options, resume

    before = datetime.now(UTC)
    resume(out, options=Options(progress=False, stand_in=smooth))
    started = [
        m for m in Store(out).trainings(["started_at"])["started_at"].to_pylist() if m > before
    ]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(memory, min(started).timestamp())


def compact_once(out: str) -> None:
    """Merge all; prints memory."""
    from search.store.compact import merge_all

    merge_all(Store(out))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exhaustive", type=int, default=10_000)
    parser.add_argument("--tpe", type=int, default=2_000)
    parser.add_argument("--trainings", type=int, default=100_000)
    arguments = parser.parse_args()
    print(f"{'search':12}{'trials':>8}{'early s':>12}{'late s':>12}{'ratio':>8}{'MB':>10}")
    for kind, trials in (("exhaustive", arguments.exhaustive), ("tpe", arguments.tpe)):
        if trials:
            searched(kind, trials)
    if arguments.trainings:
        stored(arguments.trainings)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--run", kind, trials, out]:
            run(kind, int(trials), out)
        case ["--resume", out]:
            resume_once(out)
        case ["--compact", out]:
            compact_once(out)
        case _:
            main()
