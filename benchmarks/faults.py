"""Faults injected into searches, how often, and what was lost: the table of docs/reliability.md.

Run: python benchmarks/faults.py [--minutes 60] [--only kills|split|s3|clock|damage] [--seed 0]
     [--kills 100] [--splits 20] [--s3 500] [--clock 10] [--write docs/reliability.md]

Everything is real but the clock: processes are killed or stopped while networks train, requests go
through a proxy that spoils some on their way to moto's S3 server. Of the clock, only what the
driver reads as time of day jumps. After each fault the study is resumed; a finished one is compared
with an undisturbed run of all its networks.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

from fault_kinds import (
    HERE,
    BadServer,
    Driver,  # pyright: ignore[reportAttributeAccessIssue]
    Target,
    descendants,  # pyright: ignore[reportAttributeAccessIssue]
    left_over,
    strike,
)
from faults_judge import CELLS, HEAD, Bench, Line, facts, finish

from search.store.store import Store

MARKS = ("<!-- faults -->", "<!-- end of faults -->")
FAKE = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_REGION": "us-east-1",
}


def kills(bench: Bench, times: int) -> Iterator[Line]:
    """In the middle of trainings, of exhaustive and sampled studies, with and without halving."""
    targets = get_args(Target)
    for study in CELLS:
        lines = {target: Line(f"{target} killed, {study}") for target in targets}
        share = -(-times // len(CELLS))
        out, crashes, number = bench.out(study), 0, 0
        while number < share and bench.goes_on():
            target: Target = targets[number % len(targets)]
            line, began = lines[target], time.monotonic()
            driver = Driver(out, study)
            driver.wait_for_work(trainings=2)
            time.sleep(bench.rng.uniform(0.5, 4))
            if driver.process.poll() is not None:  # it ended before it could be struck
                line.unclean += driver.process.returncode != 0
                if driver.process.returncode == 0:
                    bench.judge(line, Store(out), study, allowed=crashes)
                    out, crashes = bench.out(study), 0
                continue
            pids = [driver.process.pid, *descendants(driver.process.pid)]
            strike(driver, target)
            if target == "worker":
                crashes += 1
                time.sleep(3)
                driver.process.send_signal(signal.SIGTERM)
            killed = target.startswith("driver")
            expect = -signal.SIGKILL if killed else 0 if target == "worker" else 2
            line.unclean += driver.finish(timeout_s=120) != expect
            line.left += left_over(pids)
            line.times, number = line.times + 1, number + 1
            line.seconds += time.monotonic() - began
        if Path(out).exists():
            last = Line(f"{study} resumed to its end", times=1)
            finish(Driver(out, study), last, expect=0)
            bench.judge(last, Store(out), study, allowed=crashes)
            yield last
        yield from lines.values()


def splits(bench: Bench, times: int) -> Iterator[Line]:
    """A driver and all it started sleeps, another takes over, the first wakes up."""
    line, began = Line("driver asleep while another took over"), time.monotonic()
    os.environ["STALE_S"] = "3"
    while line.times < times and bench.goes_on():
        out = bench.out("split")
        asleep = Driver(out, "marathon", log=out.with_suffix(".asleep"))
        asleep.wait_for_work(trainings=2)
        time.sleep(bench.rng.uniform(0, 3))
        asleep.signal_all(signal.SIGSTOP)
        awake = Driver(out, "marathon", log=out.with_suffix(".awake"))
        awake.wait_for_trainings(len(list(out.glob("cells/*"))) + bench.rng.randint(2, 8))
        before = facts(Store(out))[0]
        asleep.signal_all(signal.SIGCONT)
        finish(asleep, line, expect=2)
        finish(awake, line, expect=0)
        after = facts(Store(out))[0]
        line.wrong += sum(after.get(key) != row for key, row in before.items() if row["epochs"])
        bench.judge(line, Store(out), "marathon")
        line.times += 1
    line.seconds = time.monotonic() - began
    del os.environ["STALE_S"]
    yield line


def spoiled_requests(bench: Bench, times: int) -> Iterator[Line]:
    """Studies on an object store whose answers are cut, slow, truncated, refused or old."""
    line, began, number = Line("S3 request spoiled"), time.monotonic(), 0
    bad = BadServer(rng=bench.rng, share=0.0, most=times)
    with bad.running(bench.folder / "server.log") as address:
        os.environ.update(FAKE | {"AWS_ENDPOINT_URL_S3": address})
        import boto3

        boto3.client("s3").create_bucket(Bucket="studies")
        while sum(bad.counts.values()) < times and bench.goes_on():
            number += 1
            store, bad.share = Store(f"s3://studies/{number}"), 0.1
            command = [sys.executable, str(HERE.parent / "tests" / "searches.py")]
            with (bench.folder / f"s3-{number}.log").open("w") as log:
                for _ in range(10):  # a run may give up; the next one goes on
                    arguments = [*command, store.address, "racing"]
                    if not subprocess.run(arguments, stdout=log, stderr=log).returncode:
                        break
                    line.unclean += 1
            bad.share = 0.0
            bench.judge(line, store, "racing")
    line.times, line.seconds = sum(bad.counts.values()), time.monotonic() - began
    line.fault += f" ({', '.join(f'{n} {kind}' for kind, n in sorted(bad.counts.items()))})"
    yield line


def jumps(bench: Bench, times: int) -> Iterator[Line]:
    """A driver whose time of day is off by years, each look by others, killed and resumed."""
    line, began = Line("driver killed, its clock off by years"), time.monotonic()
    script = str(HERE / "fault_kinds.py")
    while line.times < times and bench.goes_on():
        out = bench.out("clock")
        for _ in range(min(3, times - line.times)):
            os.environ["CLOCK_SEED"] = str(bench.rng.randrange(10**6))
            driver = Driver(out, "marathon", script=script)
            driver.wait_for_work(trainings=2)
            time.sleep(bench.rng.uniform(0.5, 3))
            driver.kill_all()
            line.times += 1
        finish(Driver(out, "marathon", script=script), line, expect=0)
        bench.judge(line, Store(out), "marathon")
    line.seconds = time.monotonic() - began
    yield line


def table(lines: list[Line]) -> list[str]:
    """As Markdown, line by line: head, rule, and a row for each kind of fault that was injected."""
    rows = [HEAD, tuple("---" for _ in HEAD), *(line.texts() for line in lines if line.times)]
    return ["| " + " | ".join(row) + " |" for row in rows]


def write(path: Path, rows: list[str]) -> None:
    """Between the marks of the file, where the rows of other faults stay."""
    before, rest = path.read_text().split(MARKS[0])
    old, after = rest.split(MARKS[1])
    kept = [row for row in old.strip().splitlines()[2:] if _fault(row) not in map(_fault, rows)]
    text = "\n".join([*rows[:2], *kept, *rows[2:]])
    path.write_text(f"{before}{MARKS[0]}\n{text}\n{MARKS[1]}{after}")


def _fault(row: str) -> str:
    return row.split("|")[1].split(" (")[0].strip()


def main() -> None:
    """Inject, judge, print."""
    parser = argparse.ArgumentParser(description="Inject faults into searches")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--only", choices=["kills", "split", "s3", "clock", "damage"])
    parser.add_argument("--seed", type=int, default=0)
    for name, number in (("kills", 100), ("splits", 20), ("s3", 500), ("clock", 10)):
        parser.add_argument(f"--{name}", type=int, default=number)
    parser.add_argument("--write", type=Path)
    chosen: Any = parser.parse_args()
    parts: dict[str, tuple[Callable[[Bench, int], Iterator[Line]], int]] = {
        "kills": (kills, chosen.kills),
        "split": (splits, chosen.splits),
        "s3": (spoiled_requests, chosen.s3),
        "clock": (jumps, chosen.clock),
    }
    lines: list[Line] = []
    with tempfile.TemporaryDirectory(prefix="stac-faults-") as folder:
        bench = Bench(Path(folder), minutes=chosen.minutes, seed=chosen.seed)
        for name, (inject, times) in parts.items():
            if chosen.only in (None, name):
                for line in inject(bench, times):
                    lines.append(line)
                    print(*line.texts(), sep="  ", flush=True)
                if chosen.write:
                    write(chosen.write, table(lines))
    damaged = HERE / "faults_bytes.py"
    if chosen.only in (None, "damage") and damaged.exists():
        subprocess.run([sys.executable, str(damaged), "--seed", str(chosen.seed)], check=True)
    print("\n".join(table(lines)))


if __name__ == "__main__":
    main()
