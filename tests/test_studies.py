"""Named studies, studies from files, overrides of single fields."""

from pathlib import Path

import pytest

from search.studies import load_study, named_studies, override
from search.study import Exhaustive, Sampled


def test_every_named_study_keeps_its_name_and_survives_its_json() -> None:
    for name, make in named_studies().items():
        assert make().name == name
        assert override(make(), {}) == make()


def test_digits_has_at_least_24_cells_and_its_sampled_twin_the_same_space() -> None:
    digits, sampled = load_study("digits"), load_study("digits-tpe")
    assert isinstance(digits.strategy, Exhaustive)
    assert isinstance(sampled.strategy, Sampled)
    assert len(digits.space.first_index) * len(digits.seeds) >= 24
    assert sampled.space == digits.space


def test_an_unknown_study_is_answered_with_the_nearest_names() -> None:
    with pytest.raises(ValueError, match=r"got digit; did you mean digits"):
        load_study("digit")


def test_a_study_comes_from_a_function_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("from search.studies import digits as small\n\n\ndef no():\n    return 1\n")
    assert load_study(f"{file}:small") == load_study("digits")
    with pytest.raises(ValueError, match="must return a Study, got int"):
        load_study(f"{file}:no")
    with pytest.raises(ValueError, match=r"must return a Study, got AttributeError"):
        load_study(f"{file}:nothing")
    with pytest.raises(ValueError, match="study file must exist"):
        load_study("nowhere.py:small")


def test_a_field_is_overridden_by_its_path() -> None:
    changes = {"protocol.epochs": "2", "seeds": "[3, 4]", "name": "mine"}
    study = override(load_study("digits"), changes)
    assert (study.protocol.epochs, study.seeds, study.name) == (2, (3, 4), "mine")
    assert override(study, {"seeds.0": "9"}).seeds == (9, 4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"protocol.epoch": "2"}, r"must name a field of the study, got protocol\.epoch.*epochs"),
        ({"protocol.epochs": "many"}, r"protocol\.epochs: .*got 'many'"),
        ({"protocol.epochs": "0"}, r"epochs and batch_size must be at least 1"),
        ({"space.scales": '[["off", 64], ["off"], ["off"]]'}, r"scale must not exceed the map"),
        ({"strategy.kind": "clever"}, r"strategy"),
    ],
)
def test_an_override_that_does_not_fit_is_refused(changes: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        override(load_study("digits"), changes)
