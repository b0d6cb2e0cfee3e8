"""The command line: what exists, what a mistake gets, what costs nothing."""

import json
import re
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import pytest
from official_data import write_cifar10, write_cifar100, write_imagenet

from search.store.rows import code_commit
from search.store.store import Store
from search.study.networks import networks
from search.study.studies import load_study
from stac.cli.commands import parse
from stac.cli.main import main
from stacnet.data.images import load
from stacnet.train import Trainer

pytestmark = pytest.mark.slow  # trains by commands


class Ended(NamedTuple):
    """What a command left: exit code and what it printed."""

    returncode: int
    stdout: str
    stderr: str


Stac = Callable[..., Ended]


@pytest.fixture
def stac(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Stac:
    """Run the command in this process, 80 columns wide."""
    monkeypatch.setenv("COLUMNS", "80")

    def call(*words: str) -> Ended:
        with pytest.raises(SystemExit) as ended:
            main(list(words))
        printed = capsys.readouterr()
        return Ended(int(ended.value.code or 0), printed.out, printed.err)

    return call


def test_cost_of_the_papers_setting_is_printed_as_json(stac: Stac) -> None:
    out = stac(*"cost --depth 50 --stem s1 --input-size 64 --scale 2 --kernel 3 --json".split())
    facts = json.loads(out.stdout)
    assert round(facts["params_ratio"], 2) == 1.89
    assert round(100 * (facts["macs_ratio"] - 1), 2) == 1.74


def test_cost_of_the_vanilla_resnet_50_is_the_known_one(stac: Stac) -> None:
    out = stac(*"cost --depth 50 --stem imagenet --input-size 224 --json".split())
    facts = json.loads(out.stdout)
    assert (facts["params"], round(facts["macs"] / 1e9, 3)) == (25_557_032, 4.089)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("cost --scale 128", "scale must not exceed the map of its stage, got scale=128"),
        ("cost --scale 1,2", "scales must have one entry per stage, got 2 entries for 4 stages"),
        ("cost --kernel 2 --scale 2", "kernel must be odd"),
        ("cost --kernel 3", "--kernel has no effect without attention"),
        ("cost --attention se --scale 2", "--scale has no effect with --attention se"),
        ("cost --depth 51", "depth must be one of"),
        ("cost --stem s5", "invalid choice 's5'"),
        ("cost --nonsense", "no flag --nonsense in stac cost; stac cost --help lists them"),
        ("cost --dept 8", "no flag --dept in stac cost; did you mean --depth?"),
        ("search x --oot=y", "no flag --oot in stac search; did you mean --out?"),
        ("data prepare x --nam y", "no flag --nam in stac data prepare; did you mean --name?"),
        ("nonsense", "no command nonsense in stac; stac --help lists them"),
        ("serch digits", "no command serch in stac; did you mean search?"),
        ("data prepar x", "no command prepar in stac data; did you mean prepare?"),
        ("search digits", "Missing from stac search: --out"),
    ],
)
def test_a_mistake_is_one_line_with_rule_and_value(stac: Stac, words: str, message: str) -> None:
    out = stac(*words.split())
    assert out.returncode == 2
    assert message in out.stderr
    assert len(out.stderr.strip().splitlines()) == 1
    assert not out.stdout


def test_latency_is_measured_only_when_it_is_asked_for(stac: Stac) -> None:
    words = "cost --depth 8 --width 4 --input-size 8 --classes 2 --json".split()
    assert "latency" not in json.loads(stac(*words).stdout)
    measured = json.loads(stac(*words, "--latency").stdout)["latency"]
    assert measured["image_s"] > 0
    assert measured["batch_size"] == 1


@pytest.mark.parametrize(
    ("write", "shape", "size"),
    [
        (partial(write_imagenet, size=64, per_batch=12), "10 --width 4", 64),
        (write_cifar10, "20 --width 4 --classes 10 --input-size 32", 32),
        (partial(write_cifar100, num=1200), "20 --width 4 --classes 100 --input-size 32", 32),
    ],
    ids=["imagenet64", "cifar10", "cifar100"],
)
def test_official_files_are_prepared_inspected_and_trained_on_by_commands(
    stac: Stac,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    write: Callable[[Path], None],
    shape: str,
    size: int,
) -> None:
    write(tmp_path / "official")
    monkeypatch.setenv("STACNET_DATA", str(tmp_path / "data"))
    prepared = stac("data", "prepare", str(tmp_path / "official"), "--name", "images")
    assert prepared.returncode == 0, prepared.stderr
    sheet = tmp_path / "sheet.png"
    inspected = stac("data", "inspect", "images", "--sheet", str(sheet), "--json")
    assert inspected.returncode == 0, inspected.stderr
    facts = json.loads(inspected.stdout)
    assert facts["shape"] == [3, size, size]
    assert sheet.read_bytes().startswith(b"\x89PNG")
    out = tmp_path / "run"
    words = f"train --depth {shape} --scale 2 --data images --override epochs=1 batch_size=32"
    trained = stac(*words.split(), "--out", str(out))
    assert trained.returncode == 0, trained.stderr
    assert "test acc" in trained.stdout
    (row,) = Store(out).trainings().to_pylist()
    assert (row["status"], row["epochs"]) == ("complete", 1)
    assert row["test_loss_last"] > 0
    assert (out / "curve.png").exists()
    assert Store(out).weights(f"{row['network_id']}-{row['protocol_id']}-0") is None
    again = stac(*words.split(), "--out", str(out))
    assert again.returncode == 0
    assert Store(out).trainings(all_attempts=True).num_rows == 1


def test_every_command_explains_itself_within_80_columns(stac: Stac) -> None:
    for words in ("--help", "search --help", "train --help", "data --help", "cluster --help"):
        listing = stac(*words.split()).stdout
        assert listing.startswith("usage: stac")
        assert [line for line in listing.splitlines() if len(line) > 80] == []


def test_without_a_command_the_help_is_printed_and_a_script_does_not_go_on(stac: Stac) -> None:
    for words in ("", "data", "cluster"):
        out = stac(*words.split())
        assert out.returncode == 2
        assert out.stdout.startswith("usage: stac")
        assert not out.stderr


def test_the_version_names_the_commit(stac: Stac) -> None:
    out = stac("--version")
    assert out.returncode == 0
    assert out.stdout == f"stac {version('stacnet')} (commit {code_commit()})\n"


def test_a_help_page_explains_its_words_where_they_come_first(stac: Stac) -> None:
    assert "training   one network, trained from one seed" in stac("search", "--help").stdout
    assert "headroom" not in stac("search", "--help").stdout
    assert "picks      the networks that the rules choose" in stac("compare", "--help").stdout


def test_the_shell_completion_of_the_readme_is_a_script(stac: Stac) -> None:
    assert "complete -F" in stac("--tyro-print-completion", "bash").stdout


def test_the_readmes_own_study_loads_and_trains_as_it_is_written(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "README.md").read_text()
    _, code = re.findall(r"```python\n(.*?)```", text, flags=re.S)
    (tmp_path / "my_study.py").write_text(code)
    study = load_study(f"{tmp_path / 'my_study.py'}:mine")
    assert (len(networks(study.space)), study.seeds) == (4, (0, 1))
    spec, splits = study.space.spec(3), load(study.protocol.data)
    trainer = Trainer(spec, study.protocol, splits)
    while not trainer.done:
        trainer.run()
    assert trainer.results[-1].val_acc > 0.5


def test_overrides_may_be_grouped_or_repeated() -> None:
    words = "search digits --out x --override a=1 b=2 --override c=3".split()
    assert parse(words).override == (("a=1", "b=2"), ("c=3",))  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("words", "shape"),
    [("", (16, 8)), ("--data digits", (8, 10)), ("--override data.size=32", (32, 8))],
)
def test_what_no_flag_says_of_a_trained_network_is_taken_from_the_data(
    words: str, shape: tuple[int, int]
) -> None:
    from stac.cli.train import one_training_study

    command = parse(f"train --depth 8 {words} --out x --seed 100".split())
    base = one_training_study(command).space.base  # type: ignore[arg-type]
    assert (base.input_size, base.classes, base.depth) == (*shape, 8)
