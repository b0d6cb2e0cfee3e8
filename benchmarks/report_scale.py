"""A report on a study with many finished trainings: seconds, memory, and how often a table is read.

Run: python benchmarks/report_scale.py [--trainings 100000] [--keep FOLDER]

The 27 networks of the named study `digits` with random accuracies, three epochs and as many seeds
as it takes; the map is that of two untrained networks. Figures are of a process of its own, with
the start of Python.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from store_size import fill, plan  # pyright: ignore[reportMissingImports]

from search.store.store import Store
from search.study.studies import digits
from search.study.training import id_of
from stacnet.checkpoint import dumps
from stacnet.network import build

COUNTED = """
import resource, sys, time
from collections import Counter
from analysis.report.report import report
from search.store import attempts, parts
reads = Counter()
def counted(storage, folder, *rest, inner=parts.read_all, **named):
    reads[folder] += 1
    return inner(storage, folder, *rest, **named)
for module in list(sys.modules.values()):
    if getattr(module, "read_all", None) is parts.read_all and module is not parts:
        module.read_all = counted
report([sys.argv[1]], None)
print(dict(reads), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def made(out: str, trainings: int) -> None:
    """The study, its map and its picks."""
    from analysis.predict.predict import predict

    study = plan(trainings, of=digits(), networks=27)
    fill(out, "merged", study)
    base, store = study.space.base, Store(out)
    for seed in study.seeds[:2]:
        training_id = id_of((base.network_id, study.protocol.protocol_id, seed))
        store.write_weights(training_id, dumps(build(base, seed=seed).state_dict()))
    predict(store)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description="A report on many trainings")
    parser.add_argument("--trainings", type=int, default=100_000)
    parser.add_argument("--keep", help="folder for the store; one that is there is used again")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        out = str(Path(chosen.keep or scratch) / f"report-{chosen.trainings}")
        if not Path(out).exists():
            made(out, chosen.trainings)
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", COUNTED, out], capture_output=True, text=True, check=True
        )
        spent = time.perf_counter() - began
        reads, _, memory = done.stdout.strip().rpartition(" ")
        print(f"{chosen.trainings:,} trainings: {spent:.1f} s, {memory} MB, tables read: {reads}")


if __name__ == "__main__":
    main()
