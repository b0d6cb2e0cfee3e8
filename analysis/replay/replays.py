"""Any sampler replayed on a study's own results: alone, after the pick, and with priors."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import islice
from multiprocessing import active_children, get_context

from pydantic import TypeAdapter, ValidationError

from analysis.judge.compare import compare, read_picks
from analysis.judge.comparison import Comparison
from analysis.replay.saved import trials_saved
from analysis.replay.shuffled import MOST_TRIALS, shuffled
from analysis.replay.simulate import Replay, Step, Target, simulate, summarise
from analysis.replay.starts import ALONE, Start, starts
from analysis.replay.table import Tabulated, tabulated
from analysis.telling import Tell, counted, quietly
from search.drive.signals import end_with_parent
from search.errors import StoreError
from search.sampling.pruner import make_pruner
from search.store.past import Past, past_of
from search.store.store import Store
from search.study.study import Sampled, SamplerName
from stacnet.fields import is_whole

CHUNKS = 20  # of runs for each process: so often is told how far it is
_ADAPTER = TypeAdapter(tuple[Replay, ...])  # pydantic stands at the JSON boundary only
FILE = "replays.json"
Job = tuple[Start, int]  # what a simulated search starts with, and its seed


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """How much is simulated.

    Args:
        runs: simulated searches, each from its own seed.
        concurrency: trials at once on the virtual clock.
        workers: processes that simulate.
        tell: is told of each simulated search.

    Raises:
        ValueError: a number is below 1.
    """

    runs: int = 200
    concurrency: int = 1
    workers: int = 1
    tell: Tell = quietly

    def __post_init__(self) -> None:
        for name in ("runs", "concurrency", "workers"):
            if not is_whole(value := getattr(self, name), 1):
                raise ValueError(f"{name} must be a whole number of at least 1, got {value}")


DEFAULTS = Simulation()


def replays(
    table: Tabulated,
    sampler: SamplerName,
    *,
    target: Target,
    begin: Sequence[Start] = (ALONE,),
    plan: Simulation = DEFAULTS,
) -> tuple[Replay, ...]:
    """Many simulated searches with one of Optuna's samplers, each from its own seed.

    Args:
        begin: what they start with; the first is nothing, the others are compared with it.
    """
    run = partial(sampled_run, table, sampler, plan.concurrency)
    jobs = [(start, seed) for start in begin for seed in range(plan.runs)]
    watch = partial(counted, text=f"searches by {sampler}", total=len(jobs), tell=plan.tell)
    runs = _in_processes(run, jobs, plan.workers) if plan.workers > 1 else map(run, jobs)
    made = iter(watch(runs))
    return against_alone(
        summarise(
            start.of(sampler),
            list(islice(made, plan.runs)),
            concurrency=plan.concurrency,
            target=target,
        )
        for start in begin
    )


def _in_processes(
    run: Callable[[Job], list[Step]], jobs: Sequence[Job], workers: int
) -> Iterator[list[Step]]:
    """The runs in workers that end with this process, whatever ends it."""
    others = set(active_children())
    share = -(-len(jobs) // (CHUNKS * workers))
    spawn = get_context("spawn")
    with ProcessPoolExecutor(workers, spawn, initializer=end_with_parent) as pool:
        try:
            yield from pool.map(run, jobs, chunksize=share)
        except KeyboardInterrupt:
            for worker in set(active_children()) - others:
                worker.kill()  # or the pool waits for its share of the runs
            raise


def sampled_run(table: Tabulated, sampler: SamplerName, concurrency: int, job: Job) -> list[Step]:
    """One simulated search; the strategy and the pruner are the real search's own."""
    from search.sampling.sampler import AskTell  # optuna is imported only by a replay

    start, seed = job
    plan = Sampled(
        sampler=sampler,
        trials=min(MOST_TRIALS, len(table.among)),
        scheduler=table.study.scheduler,
        sampler_seed=seed,
        concurrency=concurrency,
    )
    drawn = table.seeds[seed % len(table.seeds)]
    study = replace(table.study, seeds=(drawn,), strategy=plan)
    prior = start.prior(table.among, seed=seed)
    strategy = AskTell(study, table.among, first=start.first, prior=prior)
    pruner = make_pruner(study)
    return list(
        simulate(strategy, table, pruner=pruner, concurrency=concurrency, trials=plan.trials)
    )


def replay_study(
    store: Store,
    sampler: SamplerName,
    *,
    plan: Simulation = DEFAULTS,
    picks_file: str | None = None,
) -> tuple[Replay, ...]:
    """A sampler on a study's results, from every one of `starts`; kept in replays.json.

    A study that ships never changes: what is asked for is taken from its file, if it is there.

    Raises:
        ValueError: too little is trained, or there are no picks.
    """
    if store.storage.is_shipped and picks_file is None:
        kept = [one for one in stored_replays(store) if _is_asked_for(one, sampler, plan)]
        if kept:
            return tuple(kept)
    past = past_of(store)
    table, comparison = tabulated(past), compare(past, picks_file=picks_file)
    target, pick = _target(comparison), _pick(table, comparison)
    _, picks = read_picks(store, picks_file)
    begin = tuple(starts(pick, picks, table.among))
    if sampler == "random" and plan.concurrency == 1 and table.study.scheduler == "none":
        # one at a time and never stopped early, a random order is all that there is to draw
        orders = (shuffled(table, target=target, start=start, runs=plan.runs) for start in begin)
        made = against_alone(orders)
    else:
        made = replays(table, sampler, target=target, begin=begin, plan=plan)
    if not store.storage.is_shipped:
        names = {one.name for one in made}
        kept = [one for one in stored_replays(store) if one.name not in names]
        store.storage.write_json(FILE, {"replays": [asdict(one) for one in (*kept, *made)]})
    return made


def _is_asked_for(one: Replay, sampler: SamplerName, plan: Simulation) -> bool:
    same = (one.runs, one.concurrency) == (plan.runs, plan.concurrency)
    return same and one.name.split(maxsplit=1)[0] == sampler


def against_alone(replays: Iterable[Replay]) -> tuple[Replay, ...]:
    """The first is the sampler alone; the others say what they save against it."""
    alone, *others = replays
    saved = [replace(one, saved=trials_saved(alone.needed, one.needed)) for one in others]
    return (alone, *saved)


def stored_replays(store: Store) -> tuple[Replay, ...]:
    """What `stac replay` has left.

    Raises:
        StoreError: the file is damaged.
    """
    try:
        plain = store.storage.read_json(FILE)
        return _ADAPTER.validate_python(plain["replays"] if isinstance(plain, dict) else plain)
    except FileNotFoundError:
        return ()
    except (KeyError, ValidationError) as error:
        reason = " ".join(str(error).split())
        raise StoreError(f"{store.address}/{FILE}: must be replays, got {reason}") from None


def report_replays(
    past: Past, comparison: Comparison, *, picks_file: str | None = None
) -> tuple[Replay, ...]:
    """Random search from every one of `starts`, and the stored replays; nothing if too young."""
    try:
        table = tabulated(past)
    except ValueError:
        return ()
    target, pick = _target(comparison), _pick(table, comparison)
    _, picks = read_picks(past.store, picks_file)
    begin = starts(pick, picks, table.among)
    made = against_alone(shuffled(table, target=target, start=start) for start in begin)
    names = {one.name for one in made}
    return (*made, *(one for one in stored_replays(past.store) if one.name not in names))


def _target(comparison: Comparison) -> Target:
    best, pick = comparison.best.accuracy.value, comparison.primary.network.accuracy.value
    return Target(best, pick, comparison.margin)


def _pick(table: Tabulated, comparison: Comparison) -> int | None:
    return table.among.point(comparison.primary.network.network_id)
