"""Named studies, studies from files, overrides of single fields."""

import sys
from pathlib import Path

import pytest

from search.study.networks import networks
from search.study.paper_studies import paper_studies
from search.study.studies import load_study, named_studies, override
from search.study.study import Exhaustive, Sampled
from stac.cli.studies import rough, study_facts


def test_every_named_study_keeps_its_name_and_survives_its_json() -> None:
    for name, make in named_studies().items():
        assert make().name == name
        assert override(make(), {}) == make()


def test_digits_has_at_least_24_trainings_and_its_sampled_twin_the_same_space() -> None:
    digits, sampled = load_study("digits"), load_study("digits-tpe")
    assert isinstance(digits.strategy, Exhaustive)
    assert isinstance(sampled.strategy, Sampled)
    assert len(networks(digits.space)) * len(digits.seeds) >= 24
    assert sampled.space == digits.space


def test_an_unknown_study_is_answered_with_the_nearest_names() -> None:
    with pytest.raises(ValueError, match=r"got digit; did you mean digits"):
        load_study("digit")


def test_a_study_comes_from_a_function_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from search.study.studies import digits as small\n\n\ndef no():\n    return 1\n"
    )
    assert load_study(f"{file}:small") == load_study("digits")
    with pytest.raises(ValueError, match="must return a Study, got int"):
        load_study(f"{file}:no")
    with pytest.raises(ValueError, match="must have the function nothing, got no"):
        load_study(f"{file}:nothing")
    with pytest.raises(ValueError, match="study file must exist"):
        load_study("nowhere.py:small")


def test_a_study_file_imports_its_neighbour_and_needs_no_name_for_its_only_study(
    tmp_path: Path,
) -> None:
    (tmp_path / "beside_it.py").write_text("from search.study.studies import digits\n")
    file = tmp_path / "mine.py"
    file.write_text("import beside_it\n\n\ndef small():\n    return beside_it.digits()\n")
    before = list(sys.path)
    assert load_study(f"{file}:small") == load_study(str(file)) == load_study("digits")
    assert sys.path == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def a():\n    x = 1\n    return y\n", r"a must return a Study, got Name.*\(line 3\)"),
        ("import gone\n", r"mine.py must return a Study, got ModuleNotFoundError.*\(line 1\)"),
        ("x = (\n", r"got SyntaxError: .*never closed \(mine.py, line 1\)"),
        ("raise SystemExit(3)\n", r"got SystemExit: 3 \(line 1\)"),
        ("def a(): ...\ndef b(): ...\ndef c(x): ...\n", "followed by :function, one of a, b"),
        ("x = 1\n", "followed by :function, one of none that returns a Study"),
    ],
)
def test_a_fault_in_a_study_file_is_one_line_with_its_place(
    tmp_path: Path, text: str, message: str
) -> None:
    file = tmp_path / "mine.py"
    file.write_text(text)
    with pytest.raises(ValueError, match=message):
        load_study(str(file))


def test_every_named_study_says_what_it_is_for_and_how_long_it_takes() -> None:
    for name, make in named_studies().items():
        facts = study_facts(make, cores=2)
        assert (facts["hours"] or 0) > 0 or name in paper_studies()
        assert facts["cells"] >= facts["networks"] > 1
        assert len(facts["about"]) > 30, name
    assert (rough(0.001), rough(0.05), rough(2.5)) == ("~ 1 min", "~ 3 min", "~ 2.5 h")


def test_a_field_is_overridden_by_its_path() -> None:
    changes = {"protocol.epochs": "2", "seeds": "[3, 4]", "name": "mine"}
    study = override(load_study("digits"), changes)
    assert (study.protocol.epochs, study.seeds, study.name) == (2, (3, 4), "mine")
    assert override(study, {"seeds.0": "9"}).seeds == (9, 4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"protocol.epoch": "2"}, r"must name a field of the study, got protocol\.epoch.*epochs"),
        ({"protocol.epochs": "many"}, r"protocol: epochs must be .*got epochs='many'"),
        ({"protocol.epochs": "0"}, "epochs must be a whole number of at least 1"),
        ({"space.scales": '[["off", 64], ["off"], ["off"]]'}, r"scale must not exceed the map"),
        ({"strategy.kind": "clever"}, r"strategy"),
    ],
)
def test_an_override_that_does_not_fit_is_refused(changes: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        override(load_study("digits"), changes)
