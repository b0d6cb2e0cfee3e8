"""A study of a network that a user brought: from the search to the comparison."""

from dataclasses import replace
from pathlib import Path

import pytest
from nets import SMALL

from analysis.judge.compare import compare
from analysis.predict.predict import predict
from analysis.report.report import report
from search.drive.run import Options, search
from search.errors import StoreError
from search.store.check import check
from search.store.status import status
from search.store.store import Store
from search.study.space import Space
from search.study.studies import digits
from search.study.study import Study, study_from_json
from stacnet.named_spec import SOURCES
from stacnet.network import named

pytestmark = pytest.mark.slow  # trains
HERE = Options(in_process=True, progress=False)


def study(folder: Path, text: str = SMALL) -> Study:
    """Six placements, one epoch."""
    (folder / "my_net.py").write_text(text)
    base = named(f"{folder}/my_net.py:make", input_size=8, classes=10)
    space = Space(base=base, scales=(("off", 1, 2), ("off", 2)), reductions=(2,))
    of = digits()
    return replace(
        of,
        name="mine",
        space=space,
        protocol=replace(of.protocol, epochs=1),
    )


def test_a_network_of_ones_own_is_searched_looked_at_compared_and_reported(
    tmp_path: Path,
) -> None:
    asked, out = study(tmp_path), tmp_path / "out"
    assert study_from_json(asked.to_json(), source="here") == asked
    assert search(asked, out, options=HERE).ended == 6
    (tmp_path / "my_net.py").unlink()
    SOURCES.clear()  # as another machine, which has the store alone
    store = Store(out)
    chart, _ = predict(store, images=400)
    assert len(chart.stages()) == 2
    comparison = compare(store)
    assert comparison.trained == comparison.networks == 6
    assert {j.name for j in comparison.judged} >= {"R2+R5", "MACs", "naswot"}
    assert "my_net.py:make" in Path(report([str(out)])).read_text()
    rows = store.trainings(["spec_json", "depth", "macs"]).to_pylist()
    assert {row["depth"] for row in rows} == {None}
    assert len({row["macs"] for row in rows}) > 3


def test_a_source_that_changed_is_another_study(tmp_path: Path) -> None:
    out = tmp_path / "out"
    asked = study(tmp_path)
    small = replace(asked, space=replace(asked.space, scales=(("off",), ("off",))))
    assert search(small, out, options=HERE).ended == 1
    base = study(tmp_path, SMALL + "\n# changed\n").space.base
    changed = replace(small, space=replace(small.space, base=base))
    with pytest.raises(StoreError, match=r"another space\.base\.source"):
        search(changed, out, options=HERE)
    assert search(small, out, options=HERE).ended == 0


def test_a_damaged_source_is_named_and_ends_no_other_command(tmp_path: Path) -> None:
    asked, out = study(tmp_path), tmp_path / "out"
    small = replace(asked, space=replace(asked.space, scales=(("off",), ("off",))))
    assert search(small, out, options=HERE).ended == 1
    [source] = (out / "sources").iterdir()
    source.write_bytes(source.read_bytes()[:100] + b"\xff")
    SOURCES.clear()
    (tmp_path / "my_net.py").unlink()
    store = Store(out)
    assert [rule.partition(": ")[2] for rule in check(store)] == [
        "must be the text that it is named by"
    ]
    assert status(store).complete == 1
    with pytest.raises(ValueError, match="must be the one that was described"):
        predict(store, images=400)


def test_a_network_that_cannot_be_made_is_refused_before_anything_is_written(
    tmp_path: Path,
) -> None:
    asked = study(tmp_path)
    base = replace(asked.space.base, source="", name="torchvision:resnet81")
    broken = replace(asked, space=replace(asked.space, base=base))
    with pytest.raises(ValueError, match="torchvision's classifiers"):
        search(broken, tmp_path / "out", options=HERE)
    assert not (tmp_path / "out").exists()
