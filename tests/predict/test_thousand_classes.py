"""ImageNet's official format of 1,000 classes, most of which do not occur: from files to picks."""

import json

import numpy as np
import pytest
from official_data import dump

from search.store.store import Store
from search.study.space import Space
from search.study.study import Sampled, Study
from stac.cli.main import main
from stacnet.data_spec import Prepared
from stacnet.protocol import Protocol
from stacnet.spec import resnet

pytestmark = pytest.mark.slow  # takes seconds

COMMON = np.repeat([1, 5, 500, 998, 1000], 24)  # the labels that get a map
RARE = np.arange(600, 680)  # each occurs once: never in the validation split


def write_few_classes(folder, *, size: int) -> None:
    """Ten training batches and `val_data` with 85 of the 1,000 labels."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.concatenate([COMMON, RARE]))
    named = [(f"train_data_batch_{n}", part) for n, part in enumerate(np.split(labels, 10), 1)]
    for name, part in (*named, ("val_data", COMMON[::6])):
        data = rng.integers(0, 256, (len(part), 3 * size**2), dtype=np.uint8)
        data[:, 0] = part % 256  # no two batches are the same
        dump(folder / name, {"data": data, "labels": part.tolist(), "mean": data.mean(0)})


def tiny_study(*, size: int) -> Study:
    """Two networks, neither of them vanilla; one epoch."""
    return Study(
        name="tiny",
        space=Space(
            base=resnet(8, width=4, input_size=size, classes=1000),
            scales=((1, 2), (1,), (1,)),
            reductions=(4,),
        ),
        protocol=Protocol(
            data=Prepared(name="imagenet", val_fraction=0.3), epochs=1, batch_size=32
        ),
        strategy=Sampled(sampler="random", trials=2),
    )


def stac(*words: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(list(words))
    return int(stop.value.code or 0)


@pytest.mark.parametrize("size", [16, pytest.param(64, marks=pytest.mark.long)])
def test_a_map_is_made_with_the_defaults_and_the_vanilla_network_is_trained_if_it_is_missing(
    tmp_path, monkeypatch, capsys, size
):
    monkeypatch.setenv("STACNET_DATA", str(tmp_path / "data"))
    write_few_classes(tmp_path / "official", size=size)
    assert stac("data", "prepare", str(tmp_path / "official"), "--name", "imagenet") == 0
    store = Store(tmp_path / "out")
    store.begin(tiny_study(size=size))
    assert stac("classrepsim", store.address) == 2
    assert f"train it with: stac classrepsim {store.address} --train" in capsys.readouterr().err
    assert not store.storage.exists("picks.json")

    assert stac("classrepsim", store.address, "--train") == 0
    assert "995 of 1000 classes have fewer than 2 validation images" in capsys.readouterr().out
    (row,) = store.trainings(["status", "point", "suggested_by", "epochs"]).to_pylist()
    assert row == {"status": "complete", "point": None, "suggested_by": "classrepsim", "epochs": 1}
    assert not store.storage.exists("lease.json")

    picks = json.loads(store.storage.read("picks.json"))["picks"]
    scores = [pick["scores"] for pick in picks if pick["family"] in ("rule", "control", "map")]
    assert len(scores) > 8
    assert np.isfinite(np.array(scores, float)).all()
