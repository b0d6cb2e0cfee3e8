"""Ray Tune as the muscle: a disposable run that executes what the desk hands out."""

import logging
import os
import re
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any, Literal

import ray
from ray import cloudpickle, tune
from ray.exceptions import ActorUnavailableError, OutOfMemoryError, RayActorError, RayTaskError
from ray.tune.search import Searcher
from ray.tune.stopper import NoopStopper

from search.drive.desk import Desk
from search.drive.notice import MachineLeaves
from search.drive.slot import Slot
from search.drive.worker import MakeTrainer
from search.errors import StudyError
from search.store.lost import Loss
from search.study.study import Resources
from search.study.training import Job

LOOK_EVERY_S = 5.0  # at the nodes
ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": str(10**9),
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_RESULT_BUFFER_LENGTH": "1",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
}


_NODE_DEATH = re.compile(
    r"owner has died|node (has )?(died|crashed|failure)|node .{0,80}(terminated|dead)", re.I
)


class Asker(Searcher):
    """Gives Tune the slots that the desk wants. Has no state that Tune would have to save."""

    def __init__(self, desk: Desk, make_trainer: MakeTrainer) -> None:
        super().__init__()
        self._desk, self._make_trainer = desk, make_trainer

    def suggest(self, trial_id: str) -> Any:
        """A slot's config, None to wait, or FINISHED."""
        answer = self._desk.claim(trial_id)
        if not isinstance(answer, float):
            return None if answer == "wait" else Searcher.FINISHED
        resources = {"cpus": self._desk.study.resources.cpus, "gpus": answer}
        work = {"store": self._desk.store.address, "make_trainer": self._make_trainer}
        return resources | work

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Told by the callback instead, which knows the trial."""

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """The store is the truth; there is nothing to save."""

    def __reduce__(self) -> tuple:
        return Searcher, ()


class Teller(tune.Callback):
    """Tells the desk what happened to its slots, and the slots what the desk answers."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._looked = time.monotonic()
        self._trials: dict[str, Any] = {}

    def on_step_begin(self, iteration: int, trials: list, **info: Any) -> None:
        """Pass on a stop; about ten times a second, more often while results come in."""
        desk = self._desk
        for name in desk.to_stop():
            self._actor(name).stop_training.remote("preempted")
        for watcher in desk.watchers:
            watcher.tick(len(desk.in_flight.at_work()))
        if time.monotonic() - self._looked > LOOK_EVERY_S:
            self._looked = time.monotonic()
            if not any(node["Alive"] for node in ray.nodes()):  # Tune would wait for ever
                rule = "Ray must have a living node, got none: its raylet is gone"
                desk.stop("trouble", StudyError(rule))

    def on_trial_start(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        """A slot is there, new or used before; it gets its first job before it is asked to work."""
        self._trials[trial.trial_id] = trial
        with self._desk.in_order():
            job = self._desk.opened(trial.trial_id, trial.config["gpus"])
            if job is not None:
                self._take(trial.trial_id, job)

    def goes_on(self, name: str, report: dict[str, Any]) -> bool:
        """A slice is over. What the slot is told now reaches it before its next slice."""
        answer: Job | Literal["go on", "stop", "pruned"] = "stop"
        with self._desk.in_order():
            answer = self._desk.reported(name, report)
            if isinstance(answer, Job):
                self._take(name, answer)
            elif answer == "pruned":
                self._actor(name).stop_training.remote(answer)
        return answer != "stop"

    def on_trial_error(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        """The worker died, or raised."""
        error = _error_of(trial)
        with self._desk.in_order():
            self._desk.lost(trial.trial_id, loss_of(error), cause_of(error))

    def _take(self, name: str, job: Job) -> None:
        self._actor(name).take.remote(job.to_json(), self._desk.slice_s)

    def _actor(self, name: str) -> Any:
        return self._trials[name].temporary_state.ray_actor

    def __reduce__(self) -> tuple:
        return tune.Callback, ()


class Ender(tune.Stopper):
    """Ends a slot, or the Tune run, when the desk says so."""

    def __init__(self, desk: Desk, teller: Teller) -> None:
        self._desk, self._teller = desk, teller

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Whether the slot has nothing more to do. Tune asks before all else that follows."""
        return not self._teller.goes_on(trial_id, result)

    def stop_all(self) -> bool:
        """Whether nothing runs any more that could still write its checkpoint."""
        return self._desk.must_end()

    def __reduce__(self) -> tuple:
        return NoopStopper, ()


def run_slots(desk: Desk, *, make_trainer: MakeTrainer) -> None:
    """One Tune run, in a folder of its own that is removed: as many trials as there are slots.

    A trial of Tune's is a slot, for many trainings: Tune's driver slows down and grows with the
    number of its trials, and a new one costs a restart of the worker's imports.
    """
    os.environ.update(ENVIRONMENT)
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # a lost trial is the desk's affair
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(pending_trials(desk))
    folder = tempfile.mkdtemp(prefix="stac-tune-")
    teller = Teller(desk)
    try:
        tuner = tune.Tuner(
            Slot,
            tune_config=tune.TuneConfig(
                search_alg=Asker(desk, make_trainer),
                num_samples=-1,
                reuse_actors=True,
                trial_name_creator=_name,
                trial_dirname_creator=_name,
            ),
            run_config=tune.RunConfig(
                name="run",
                storage_path=folder,
                stop=Ender(desk, teller),
                callbacks=[teller],
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                failure_config=tune.FailureConfig(max_failures=0),
                verbose=0,
            ),
        )
        tuner.fit()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def pending_trials(desk: Desk) -> int:
    """How many trials may wait for a slot: enough to fill the cluster, and to make it grow."""
    per_trial = max(desk.study.resources.cpus, 1)
    return max(16, int(1.1 * ray.cluster_resources().get("CPU", 1.0) / per_trial))


def slots(resources: Resources) -> int:
    """How many trainings the machines that Ray has now train at once."""
    offered = ray.cluster_resources()
    asked = {"CPU": resources.cpus, "GPU": resources.gpus}
    return min(int(offered.get(name, 0.0) / each) for name, each in asked.items() if each)


def loss_of(error: Exception | None) -> Loss:
    """Whose fault it was, by what Ray says of the dead actor."""
    text = " ".join(str(error).split())
    if isinstance(cause_of(error), MachineLeaves):
        return Loss(cause="node", text=str(cause_of(error)))
    if isinstance(error, OutOfMemoryError) or "running low on memory" in text:
        return Loss(cause="memory", text=text)
    if isinstance(error, RayActorError) and error.actor_init_failed:
        return Loss(cause="start", text=text)
    if isinstance(error, ActorUnavailableError):  # a machine that was just cut off or killed
        return Loss(cause="node", text=text)
    if isinstance(error, RayActorError) and (error.preempted or _NODE_DEATH.search(text)):
        return Loss(cause="node", text=text)
    return Loss(cause="crash", text=text)


def cause_of(error: Exception | None) -> Exception | None:
    """What the worker raised, if it raised."""
    return error.cause if isinstance(error, RayTaskError) else error


def _error_of(trial: Any) -> Exception | None:
    """What Ray said; Tune's own getter looks in the storage, to which it was not yet copied."""
    file = trial.pickled_error_file
    return cloudpickle.loads(Path(file).read_bytes()) if file else None


def _name(trial: Any) -> str:
    return trial.trial_id
