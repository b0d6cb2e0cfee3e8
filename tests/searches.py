"""Small studies and a driver in a process of its own, for the tests of the search engine.

Run as a script: `python searches.py OUT STUDY` searches a study of this file, or resumes.
"""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from search.drive.run import Options, resume, search
from search.store import lease
from search.store.lease import read_beat
from search.store.store import Store
from search.study.space import Space
from search.study.study import Exhaustive, Sampled, Study
from stacnet.data_spec import ScaleSignal
from stacnet.protocol import Protocol
from stacnet.spec import resnet

ROOT = Path(__file__).parent.parent
TINY = ScaleSignal(grid=2, layouts=2, size=8, train=64, val=32, test=32)


def cheap(*, epochs: int = 3, seeds: tuple[int, ...] = (0, 1)) -> Study:
    """54 trainings (27 networks, 2 seeds) of a fraction of a second each."""
    return Study(
        name="cheap",
        space=Space(
            base=resnet(8, width=4, input_size=8, classes=4),
            scales=(("off", 1, 2), ("off", 1, 2), ("off", 1, 2)),
            reductions=(4,),
        ),
        protocol=Protocol(data=TINY, epochs=epochs, batch_size=32, lr=0.05),
        seeds=seeds,
        strategy=Exhaustive(),
    )


def slow() -> Study:
    """Four trainings that do not end by themselves within a test."""
    study = cheap(epochs=50_000, seeds=(0,))
    space = replace(study.space, scales=(("off", 1), ("off", 1), ("off",)))
    return replace(study, name="slow", space=space)


def steady() -> Study:
    """The same trainings, of some seconds each."""
    return replace(slow(), name="steady", protocol=cheap(epochs=60).protocol)


def racing() -> Study:
    """10 of the 27 networks by TPE, two at once, each of some seconds."""
    study = cheap(epochs=60, seeds=(0,))
    strategy = Sampled(sampler="tpe", trials=10, concurrency=2)
    return replace(study, name="racing", strategy=strategy)


def changed(study: Any, path: str, value: Any) -> Any:
    """The study with one field replaced in Python."""
    name, _, rest = path.partition(".")
    return replace(study, **{name: changed(getattr(study, name), rest, value) if rest else value})


def marathon() -> Study:
    """All of the 27 networks, with the protocol of `racing`."""
    return replace(cheap(epochs=60, seeds=(0,)), name="marathon")


def halving() -> Study:
    """20 of them at random; the weak ones are stopped early."""
    strategy = Sampled(sampler="random", scheduler="asha", trials=20, concurrency=2)
    return replace(racing(), name="halving", strategy=strategy)


STUDIES = {make.__name__: make for make in (cheap, slow, steady, racing, marathon, halving)}


class Driver:
    """A search in a session of its own, with all the processes that Ray starts for it."""

    def __init__(
        self,
        out: Path,
        study: str,
        *,
        log: Path | None = None,
        slots: int = 2,
        script: str = __file__,
    ) -> None:
        self._seen: dict[int, float] = {}
        self._slots = slots
        self.log = log or out.with_suffix(".log")
        environment = os.environ | {"OMP_NUM_THREADS": "1", "STACNET_CPUS": str(slots)}
        with self.log.open("ab") as file:
            self.process = subprocess.Popen(
                [sys.executable, script, str(out), study],
                cwd=ROOT,
                stdout=file,
                stderr=file,
                env=environment,
                start_new_session=True,
            )
        self.out = out

    def kill_all(self) -> None:
        """SIGKILL to the driver and everything it started, the driver first."""
        self.signal_all(signal.SIGKILL)
        self.process.wait()

    def signal_all(self, number: signal.Signals) -> None:
        """To the driver and everything it started."""
        for pid in (self.process.pid, *descendants(self.process.pid)):
            _kill(pid, number)

    def wait_for_trainings(self, number: int, *, timeout_s: float = 600) -> None:
        """Until so many trainings are stored, or the driver has ended."""
        deadline = time.monotonic() + timeout_s
        while self.process.poll() is None and time.monotonic() < deadline:
            if len(list(self.out.glob("cells/*.parquet"))) >= number:
                return
            time.sleep(0.02)

    def wait_for_work(self, *, trainings: int = 1, timeout_s: float = 600) -> None:
        """Until its lease says that workers have so many trainings."""
        deadline = time.monotonic() + timeout_s
        while self.process.poll() is None and time.monotonic() < deadline:
            beat = read_beat(Store(self.out).storage)
            if beat and beat.pid == self.process.pid and len(beat.running) >= trainings:
                return
            time.sleep(0.05)

    def wait_for_training(self, *, cpu_s: float = 5.0, timeout_s: float = 600) -> None:
        """Until each worker that holds a training has worked on after it loaded its libraries."""
        ticks = os.sysconf("SC_CLK_TCK")
        deadline = time.monotonic() + timeout_s
        while self.process.poll() is None and time.monotonic() < deadline:
            busy = [pid for pid in workers(self.process.pid) if loaded_torch(pid)]
            now = {pid: cpu_ticks(pid) / ticks for pid in busy}
            first = {pid: self._seen.setdefault(pid, used) for pid, used in now.items()}
            if len(busy) >= self._slots and all(now[pid] - first[pid] > cpu_s for pid in busy):
                return
            time.sleep(0.2)

    def finish(self, *, timeout_s: float = 600) -> int:
        """Wait for its end; the exit code. A driver that does not end is killed, for the others."""
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill_all()
            raise


def descendants(pid: int) -> list[int]:
    """Processes below `pid`, from /proc."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        parents[int(stat.parent.name)] = int(fields[1])
    found, todo = [], [pid]
    while todo:
        parent = todo.pop()
        children = [child for child, of in parents.items() if of == parent]
        found += children
        todo += children
    return found


def workers(pid: int) -> list[int]:
    """Ray's worker processes that hold a trial, below `pid`."""
    named = []
    for child in descendants(pid):
        try:
            title = Path(f"/proc/{child}/cmdline").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if "Slot" in title:
            named.append(child)
    return named


def lives(pid: int) -> bool:
    """Whether there is such a process that has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def gone(pids: list[int], *, within_s: float) -> bool:
    """Whether none of the processes lives any more, at the latest after so many seconds."""
    deadline = time.monotonic() + within_s
    while any(map(lives, pids)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def loaded_torch(pid: int) -> bool:
    """Whether the process has torch's library in its memory."""
    try:
        return "libtorch_cpu" in Path(f"/proc/{pid}/maps").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def cpu_ticks(pid: int) -> int:
    """CPU time the process has used."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(fields[11]) + int(fields[12])


def _kill(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def main(out: str, name: str) -> int:
    """Search or resume; 0 when nothing is owed or the run was asked to stop.

    Hearts stop after `$STALE_S` seconds, if it is set.
    """
    lease.STALE_S = float(os.environ.get("STALE_S", lease.STALE_S))
    options = Options(progress=False)
    try:
        summary = resume(out, options=options) if Store(out).exists() else None
        summary = summary or search(STUDIES[name](), out, options=options)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    print(summary)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
