"""What a trial costs besides its training: our engine, plain Ray Tune, Optuna, Syne Tune; one run.

Run: python benchmarks/overhead.py [--trials 1000] [--baseline-trials 40] [--long 20]

Each engine runs the same objective (import torch, sleep, return a number) in a process of its own
on two slots. Times are from the start of the run to the first trial's begin and result. Per trial
is that between first and last result, divided. The share is of the slots' time, with 10 s trials.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

SLOTS = 2
LONG_S = 10.0
BEGUN = "OVERHEAD_BEGUN"  # names the file that the first trial leaves when it begins


def begin() -> None:
    """Note when the first trial of a run begins."""
    with suppress(FileExistsError):
        Path(os.environ[BEGUN]).open("x").close()


def objective(x: float, seconds: float) -> float:
    """The work of a trial."""
    begin()
    import torch

    time.sleep(seconds)
    return float(torch.tensor(x) ** 2)


def ours(trials: int, seconds: float, *, new_networks: bool) -> list[float]:
    """Our engine, with its Parquet parts; times at which trials ended."""
    from search.drive.run import Options, search
    from search.store.store import Store

    study = _study(trials, new_networks=new_networks)
    with tempfile.TemporaryDirectory() as out:
        search(study, out, options=Options(progress=False, stand_in=_noop(seconds)))
        ended = Store(out).trainings(["ended_at"])["ended_at"].to_pylist()
    return sorted(moment.timestamp() for moment in ended)


def _study(trials: int, *, new_networks: bool) -> Any:
    """One network with many seeds, or that many networks (729 at most) sampled at random."""
    from search.study.space import Scale, Space
    from search.study.study import Exhaustive, Finalists, Sampled, Study
    from stacnet.data_spec import ScaleSignal
    from stacnet.protocol import Protocol
    from stacnet.spec import resnet

    choices: tuple[Scale, ...] = ("off", 1, 2, 3, 4, 5, 6, 7, "native") if new_networks else (1,)
    return Study(
        name="noop",
        space=Space(base=resnet(8, width=4, input_size=32, classes=4), scales=(choices,) * 3),
        protocol=Protocol(data=ScaleSignal(layouts=2, size=32, train=128, val=8, test=8)),
        seeds=(0,) if new_networks else tuple(range(trials)),
        finalists=Finalists(seeds=(trials,)),
        strategy=Sampled(sampler="random", trials=trials) if new_networks else Exhaustive(),
    )


def _noop(seconds: float) -> Any:
    """Training runs whose single epoch is the objective."""
    from stacnet.protocol import EpochResult

    class Run:
        def __init__(self) -> None:
            import torch

            self.evaluated_model = torch.nn.Identity()
            self.results, self.done = [], False
            self.evaluate, self.latency_s = lambda split: (0.0, np.zeros(8, bool)), float

        def run(self, *, budget_s: float) -> EpochResult:
            value = objective(0.5, seconds)
            zeros: dict[str, Any] = dict.fromkeys(EpochResult.__annotations__, 0.0)
            self.results = [EpochResult(**zeros | {"epoch": 1, "val_acc": value, "resumed": False})]
            self.done = True
            return self.results[0]

    class Noop:
        driver = os.getpid()

        def __call__(self, job: Any, study: Any) -> Run:
            return Run()

        def __setstate__(self, state: Any) -> None:
            if os.getpid() != self.driver:
                begin()  # the slot is there; torch comes next

    (noop := Noop()).__dict__["is_not_empty"] = True  # or it would be unpickled without that
    return noop


def ray_tune(trials: int, seconds: float) -> list[float]:
    """Ray Tune with OptunaSearch as its documentation shows it."""
    import ray
    from ray import tune
    from ray.tune.search.optuna import OptunaSearch

    def train(config: dict[str, float]) -> None:
        tune.report({"loss": objective(config["x"], seconds)})

    ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level=40)
    tuner = tune.Tuner(
        train,
        param_space={"x": tune.uniform(0, 1)},
        tune_config=tune.TuneConfig(
            search_alg=OptunaSearch(),
            metric="loss",
            mode="min",
            num_samples=trials,
            max_concurrent_trials=SLOTS,
        ),
        run_config=tune.RunConfig(verbose=0, storage_path=tempfile.mkdtemp()),
    )
    results = tuner.fit()
    return sorted(result.metrics["timestamp"] for result in results if result.metrics)


def optuna_processes(trials: int, seconds: float) -> list[float]:
    """Optuna with one process a slot, meeting in a journal file."""
    folder = tempfile.mkdtemp()
    workers = [
        subprocess.Popen(
            [sys.executable, __file__, "--worker", folder, str(trials // SLOTS), str(seconds)]
        )
        for _ in range(SLOTS)
    ]
    for worker in workers:
        worker.wait()
    ended = [trial.datetime_complete for trial in _journal(folder).trials]
    return sorted(moment.timestamp() for moment in ended if moment)


def _journal(folder: str) -> Any:
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = JournalStorage(JournalFileBackend(f"{folder}/journal.log"))
    return optuna.create_study(storage=storage, study_name="noop", load_if_exists=True)


def syne_tune(trials: int, seconds: float) -> list[float]:
    """Syne Tune's local backend with random search."""
    from syne_tune import StoppingCriterion, Tuner  # pyright: ignore[reportMissingImports]
    from syne_tune.backend import LocalBackend  # pyright: ignore[reportMissingImports]
    from syne_tune.config_space import uniform  # pyright: ignore[reportMissingImports]
    from syne_tune.optimizer.baselines import RandomSearch  # pyright: ignore[reportMissingImports]

    (script := Path(tempfile.mkdtemp()) / "train.py").write_text(
        f"open({os.environ[BEGUN]!r}, 'a').close()\n"
        "import argparse, time, torch\nfrom syne_tune import Reporter\n"
        "parser = argparse.ArgumentParser()\nparser.add_argument('--x', type=float)\n"
        f"x = parser.parse_known_args()[0].x\ntime.sleep({seconds})\nReporter()(loss=x * x)\n"
    )
    tuner = Tuner(
        trial_backend=LocalBackend(entry_point=str(script)),
        scheduler=RandomSearch({"x": uniform(0, 1)}, metrics=["loss"]),
        stop_criterion=StoppingCriterion(max_num_trials_finished=trials),
        n_workers=SLOTS,
        sleep_time=0.1,
        save_tuner=False,
    )
    tuner.run()
    seen = tuner.tuning_status.trial_rows.values()
    return sorted(float(row["st_worker_timestamp"]) for row in seen if "st_worker_timestamp" in row)


ENGINES = {
    "ours": partial(ours, new_networks=False),
    "ours, each network new": partial(ours, new_networks=True),
    "ray tune + optuna": ray_tune,
    "optuna processes": optuna_processes,
    "syne tune": syne_tune,
}


def one(engine: str, trials: int, seconds: float) -> dict[str, float]:
    """Figures of one engine, in this process."""
    began = time.time()
    os.environ[BEGUN] = f"{tempfile.mkdtemp()}/begun"
    ended = ENGINES[engine](trials, seconds)
    busy = len(ended) * seconds / (SLOTS * max(ended[-1] - ended[0] + seconds, 1e-9))
    return {
        "trials": len(ended),
        "first_s": Path(os.environ[BEGUN]).stat().st_mtime - began,
        "result_s": ended[0] - began,
        "each_s": (ended[-1] - ended[0]) / max(len(ended) - 1, 1),
        "busy": busy,
    }


def measured(engine: str, trials: int, seconds: float) -> dict[str, float] | None:
    """Figures of one engine, in a fresh process; None if it is not installed or fails."""
    words = [__file__, "--one", engine, str(trials), str(seconds)]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    return json.loads(lines[-1]) if done.returncode == 0 and lines else None


def main() -> None:
    """Print the table and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--baseline-trials", type=int, default=40)
    parser.add_argument("--long", type=int, default=0, help=f"trials of {LONG_S:.0f} s; 0 for none")
    arguments = parser.parse_args()
    each: dict[str, float] = {}
    print(f"{'engine':26}{'trials':>8}{'begins s':>10}{'result s':>10}{'s/trial':>10}{'share':>8}")
    for engine in ENGINES:
        trials = arguments.trials if engine.startswith("ours") else arguments.baseline_trials
        short = measured(engine, trials, 0.0)
        if short is None:
            print(f"{engine:26}not installed, or failed")
            continue
        long = measured(engine, arguments.long, LONG_S) if arguments.long else None
        share = f"{long['busy']:.1%}" if long else "-"
        each[engine] = short["each_s"]
        begun = f"{short['trials']:8.0f}{short['first_s']:10.1f}{short['result_s']:10.1f}"
        print(f"{engine:26}{begun}{short['each_s']:10.4f}{share:>8}", flush=True)
    for engine, seconds in each.items():
        print(f"{engine}: {seconds / each['ours']:.1f} times our overhead per trial")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(one(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))))
    elif sys.argv[1:2] == ["--worker"]:
        folder, trials, seconds = sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
        _journal(folder).optimize(
            lambda trial: objective(trial.suggest_float("x", 0, 1), seconds), n_trials=trials
        )
    else:
        main()
