"""`stac classrepsim | compare | report | replay | demo`: what a vanilla network predicts."""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from search.store.store import Store
from stac.cli import commands as c
from stac.cli.lean import without_pandas
from stac.cli.waiting import Waiting
from stacnet.spec import spec_from_dict

if TYPE_CHECKING:
    from analysis.judge.comparison import Comparison
    from analysis.look.classmap import ClassRepMap
    from analysis.predict.picks import Picks


def demo(command: c.Demo) -> None:
    """One study searched, looked at and judged here; then a report on it and on those that ship."""
    from search.drive.run import Options, search
    from search.store.shipped import shipped_studies
    from search.study.studies import demo as demo_study

    folder = Path(command.out) / "study"
    print(f"{demo_study().name}: searching", file=sys.stderr)
    if not search(demo_study(), folder, options=Options()).finished:
        print(f"stopped; go on with: stac demo --out {command.out}")
        return
    chart, _ = _looked(Store(folder), images=1000)
    _show_map(chart)
    compare(c.Compare(folder=str(folder)))
    shipped = [f"bench:{name}" for name in shipped_studies()]
    print(_report([str(folder), *shipped], Path(command.out) / "report.html"))


def _looked(store: Store, *, images: int, device: str | None = None) -> "tuple[ClassRepMap, Picks]":
    with Waiting("looking at the vanilla networks") as waiting:
        from analysis.predict.predict import predict
        from stac.cli.anynet import device_of

        return predict(store, images=images, device=device_of(device or "cpu"), tell=waiting.tell)


def _report(folders: list[str], out: str | Path | None) -> str:
    without_pandas()
    with Waiting("writing the report"):
        from analysis.report import report

        return report.report(folders, out)


def report(command: c.Report) -> None:
    """Write the report; print where."""
    print(_report([command.folder], command.out))


def _train_missing(store: Store) -> int | None:
    """Train the vanilla network if the study has not; the exit code if that did not succeed."""
    from analysis.predict.predict import NoVanillaError, vanilla_networks
    from search.drive.vanilla import train_vanilla

    try:
        vanilla_networks(store, store.study())
        return None
    except NoVanillaError:
        status = train_vanilla(store)
    if status == "complete":
        return None
    if status == "preempted":
        print("stopped; the same command goes on")
        return 0
    print(f"there is no map without the vanilla network, which ended as {status}")
    return 1


def classrepsim(command: c.ClassRepSim) -> int:
    """Print the map of the vanilla network and the picks, or of any network; 1 without a map."""
    if (command.folder is None) == (command.network is None):
        raise ValueError(
            f"classrepsim must be given a study's DIR or a --network, got DIR={command.folder} "
            f"network={command.network}"
        )
    if command.network is not None:
        return _look_at_any(command)
    for name in ("weights", "data", "size", "taps", "scales"):
        if getattr(command, name) is not None:
            raise ValueError(f"--{name} has no effect on a study's own network; leave it out")
    assert command.folder is not None
    store = Store(command.folder)
    if command.train and (ended := _train_missing(store)) is not None:
        return ended
    chart, picks = _looked(store, images=command.images, device=command.device)
    if command.out:
        Path(command.out).write_text(picks.to_json())
    if command.json:
        print(picks.to_json())
        return 0
    _show_map(chart)
    for pick in picks.picks:
        if pick.family == "rule":
            mark = " (primary)" if pick.name == picks.primary_rule else ""
            print(f"{pick.name}: {_scales(pick.spec)}{mark}")
    print(f"all picks: {command.out or store.address + '/picks.json'}")
    return 0


def _look_at_any(command: c.ClassRepSim) -> int:
    with Waiting("looking at the network"):
        from stac.cli import anynet

        chart = anynet.look_at(command)
    if command.out:
        anynet.write_map(chart, command.out)
    if command.json:
        print(anynet.to_json(chart))
        return 0
    _show_map(chart)
    print(f"{chart.num_gallery + chart.num_queries} images of {chart.classes} classes")
    return 0


def _show_map(chart: "ClassRepMap") -> None:
    Console().print(_map_table(chart))
    if chart.left_out:
        print(
            f"{chart.left_out} of {chart.left_out + chart.classes} classes have fewer than 2 "
            f"validation images and are left out"
        )


def _scales(spec: dict[str, Any]) -> str:
    """Scale per stage, such as `off, 4, native`."""
    stages = spec_from_dict(spec).attention
    return ", ".join("off" if a is None else str(a.scale or "native") for a in stages)


def _map_table(chart: "ClassRepMap") -> Table:
    """Class consistency of the trained network, and of its controls at their best scale."""
    stages = chart.stages()
    cells = sorted({reading.cells for stage in stages for reading in stage})
    table = Table("CRS", *(f"s={n}" for n in cells), box=None)
    for stage in stages:
        found = {reading.cells: f"{reading.crs:.2f}" for reading in stage}
        table.add_row(stage[0].place, *(found.get(n, "") for n in cells))
    return table


def compare(command: c.Compare) -> None:
    """Print the answer, or every number."""
    without_pandas()
    store = Store(command.folder)
    with Waiting("comparing the picks with what was searched"):
        from analysis.judge import compare as judging
        from analysis.report.facts import gather
        from analysis.report.sentences import points, summary

        facts = gather(store, picks_file=command.picks) if command.json else None
        comparison = facts and facts.comparison
        if comparison is None:  # it raises what is missing
            comparison = judging.compare(store, picks_file=command.picks)
    if facts is not None:
        print(facts.to_json())
        return
    console = Console()
    for sentence in summary(comparison):
        console.print(sentence, highlight=False)
    _show_ranking(console, comparison)
    for contrast in comparison.contrasts:
        if " minus widened " in contrast.label:
            print(f"{contrast.label}: {points(contrast.difference)}")


def _show_ranking(console: Console, comparison: "Comparison") -> None:
    from analysis.report.sentences import percent, scales_text
    from analysis.report.tables import ranked

    main, rest = ranked(comparison)
    table = Table("predictor", "picks", "accuracy", "regret", "percentile", "tau", box=None)
    for judged in main:
        table.add_row(
            judged.name + " (blind)" * judged.is_blind,
            scales_text(judged.network),
            percent(judged.network.accuracy.value),
            percent(judged.regret.value),
            f"{judged.percentile.value:.0f}",
            f"{judged.tau.value:.2f}",
        )
    console.print(table)
    if rest:
        print(f"{len(rest)} more predictors: in the report, or with --json")


def replay(command: c.Replay) -> None:
    """Print how a sampler would have fared."""
    without_pandas()
    with Waiting("reading the study's results") as waiting:
        from analysis.replay.replays import Simulation, replay_study

        plan = Simulation(
            runs=command.runs,
            concurrency=command.concurrency,
            workers=os.cpu_count() or 1,
            tell=waiting.tell,
        )
        found = replay_study(Store(command.folder), command.sampler, plan=plan)
    if command.json:
        from analysis.judge.comparison import plain

        print(json.dumps(plain(found)))
        return
    from analysis.report.replay_table import HEADINGS, NOTE, replay_rows

    table = Table(*HEADINGS, box=None)
    for row in replay_rows(found):
        table.add_row(*row)
    console = Console()
    console.print(table)
    console.print(f"{found[0].runs} simulated searches each. {NOTE}", highlight=False)
