"""Frontier and comparison of a table with a million rows, beside DuckDB asking for the frontier.

    python benchmarks/analysis_scale.py [--rows 1000000]

The table has the store's columns; 10 seeds per network. Target: at most 5 s and 2 GB.
"""

import argparse
import resource
import time
from collections.abc import Callable
from typing import TypeVar

import duckdb
import numpy as np
import pyarrow as pa

from analysis.judge.bench import Bench
from analysis.judge.frontier import frontier
from analysis.judge.judge import judge
from analysis.judge.results import Results, results_from_table
from analysis.predict.picks import Pick

SEEDS = 10
T = TypeVar("T")
QUERY = """
with network as (
    select network_id, any_value(macs) as macs, avg(test_acc_last) as acc
    from trainings where status = 'complete' and seed >= 5 group by network_id
), cheaper as (
    select *, max(acc) over (order by macs, acc desc rows between unbounded preceding
                             and 1 preceding) as before from network
)
select count(*) from cheaper where before is null or acc > before
"""


def make_table(rows: int) -> pa.Table:
    """A table of random results."""
    rng = np.random.default_rng(0)
    networks = rows // SEEDS
    truth_N = 0.6 + 0.05 * rng.standard_normal(networks)
    accuracy = np.repeat(truth_N, SEEDS) + rng.normal(0, 0.002, networks * SEEDS)
    names = pa.array([f"{n:016x}" for n in range(networks)])
    index = np.repeat(np.arange(networks), SEEDS)
    macs_N = rng.integers(10**8, 10**9, networks)
    constant = {"protocol_id": "p", "status": "complete", "spec_json": None}
    columns = {
        name: pa.repeat(pa.scalar(v, pa.string()), len(index)) for name, v in constant.items()
    }
    return pa.table(
        columns
        | {
            "network_id": names.take(pa.array(index)),
            "seed": np.tile(np.arange(SEEDS), networks),
            "params": macs_N[index] // 50,
            "macs": macs_N[index],
            "latency_s": macs_N[index] / 1e12,
            "val_acc_last": accuracy,
            "test_acc_last": accuracy,
            "device_s": np.full(len(index), 60.0),
        }
    )


def timed(label: str, work: Callable[[], T]) -> tuple[T, float]:
    """Run, print and return the time."""
    started = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - started
    print(f"{label:48s}{seconds:8.2f} s")
    return result, seconds


def bench_of(results: Results) -> Bench:
    """Half of the seeds select, half measure."""
    rng = np.random.default_rng(1)
    return Bench(
        results=results,
        select_NA=results.val_NS[:, :5],
        measure_NB=results.test_NS[:, 5:],
        paired_NB=results.test_NS[:, 5:],
        cells_NT=rng.choice([0, 1, 2, 4, 8], (len(results.network_ids), 4)),
        margin=0.003,
        chance=0.001,
        num_seeds=SEEDS,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    table = make_table(rows)
    results, read_s = timed(
        "read and check the table", lambda: results_from_table(table, protocol_id="p")
    )
    bench = bench_of(results)
    score_N = bench.measure_N + np.random.default_rng(2).normal(0, 0.05, len(bench.measure_N))
    best = int(score_N.argmax())
    pick = Pick(
        name="a rule",
        family="rule",
        point=best,
        network_id=results.network_ids[best],
        spec={},
        scores=tuple(score_N.tolist()),
        cost_s=100.0,
    )
    fronts, front_s = timed("frontiers in MACs, parameters and latency", lambda: bench.fronts)
    found, judge_s = timed(
        "one predictor judged", lambda: judge(bench, pick, search_s=1.0, trial_s=1.0)
    )
    con = duckdb.connect()
    con.register("trainings", table)
    row, duck_s = timed("DuckDB: frontier in MACs alone", lambda: con.execute(QUERY).fetchone())
    ours = len(frontier(results.macs_N, bench.measure_N))
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"frontier points: ours {ours}, DuckDB {row[0] if row else None}; tau {found.tau.value:.3f}"
    )
    print(f"points of the frontiers selected on A: {[len(f.costs) for f in fronts.values()]}")
    total_s = read_s + front_s + judge_s
    print(f"total {total_s:.2f} s for {rows} rows (target 5 s); peak memory {peak_gb:.2f} GB")
    print(f"read and frontiers over DuckDB: {(read_s + front_s) / duck_s:.2f}")


if __name__ == "__main__":
    main()
