"""The paper's studies: what is in their spaces, and that they run on files of official formats."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from official_data import write_cifar100, write_imagenet

import stac
from search.drive.forecast import images_of
from search.study.networks import meets_bounds, networks
from search.study.paper_studies import WITHIN_ENVELOPE
from search.study.studies import load_study, override
from stacnet.cost import price
from stacnet.data.images import data_folder
from stacnet.data.prepare import open_source, prepare
from stacnet.data_spec import Prepared
from stacnet.spec import AttentionSpec

pytestmark = pytest.mark.slow  # trains
SMALL = {
    "protocol.epochs": "1",
    "protocol.batch_size": "16",
    "protocol.data.val_fraction": "0.3",
    "resources": '{"cpus": 1, "gpus": 0}',
    "seeds": "[0]",
    "space.kernels": "[3]",
    "space.kinds": '["stac"]',
    "space.reductions": "[16]",
}
NARROW = SMALL | {
    "space.base.widths": "[8, 16, 32, 64]",
    "space.scales": '[["off"], ["off"], ["off"], [2]]',
}
IMAGENET = partial(write_imagenet, size=64, per_batch=8)


@pytest.mark.parametrize(
    ("name", "write", "changes"),
    [
        ("imagenet64-resnet18", IMAGENET, NARROW),
        ("imagenet64-resnet50", IMAGENET, NARROW),
        ("cifar100-resnet20", write_cifar100, SMALL | {"space.scales": '[["off"], ["off"], [2]]'}),
    ],
)
def test_a_paper_study_runs_on_files_of_the_official_format(
    name: str,
    write: Callable[[Path], None],
    changes: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STACNET_DATA", str(tmp_path / "prepared"))
    study = override(load_study(name), changes)
    write(tmp_path / "official")
    data = study.protocol.data
    assert isinstance(data, Prepared)
    cache = prepare(open_source(tmp_path / "official"), data_folder() / data.name)
    result = stac.search(study, tmp_path / "out", in_process=True, progress=False)
    (row,) = result.frame().to_pylist()
    assert row["status"] == "complete"
    assert images_of(study).test == len(cache.test[1])
    right = np.unpackbits(np.frombuffer(row["test_correct"], np.uint8), count=len(cache.test[1]))
    assert row["test_acc_last"] == pytest.approx(right.mean())


@pytest.mark.parametrize("name", ["imagenet64-resnet18", "imagenet64-resnet50"])
def test_vanilla_se_static_and_stac_are_in_one_space_within_the_papers_envelope(name: str) -> None:
    space = load_study(name).space
    for attention in (
        None,
        AttentionSpec(kind="se", reduction=space.reductions[0]),
        AttentionSpec(kind="static", scale=4),
        AttentionSpec(kernel=3, scale=2, reduction=space.reductions[0]),
    ):
        spec = replace(space.base, attention=(attention,) * len(space.base.blocks))
        assert space.find(spec) is not None, attention
        assert meets_bounds(space, spec)
    dear = AttentionSpec(kernel=3, scale=8, reduction=2)
    too_dear = replace(space.base, attention=(dear,) * len(space.base.blocks))
    assert not meets_bounds(space, too_dear)
    assert price(too_dear).macs > 1.0175 * price(space.base).macs


def test_the_whole_space_of_cifar_is_within_the_envelope() -> None:
    space = load_study("cifar100-resnet20").space
    among, base = networks(space), price(space.base)
    assert len(among) == WITHIN_ENVELOPE["cifar100-resnet20"] == 301
    assert among.macs_N.max() <= 1.0175 * base.macs
    assert among.params_N.max() <= 2 * base.params
    assert among.is_static_N.any()
    assert space.base.network_id in among.row


def test_the_recipes_are_those_of_their_sources() -> None:
    imagenet = load_study("imagenet64-resnet50").protocol
    assert (imagenet.epochs, imagenet.batch_size, imagenet.lr, imagenet.schedule) == (
        40,
        128,
        0.01,
        "step",
    )
    cifar = load_study("cifar100-resnet20")
    images = images_of(cifar)
    steps = cifar.protocol.epochs * (images.train // cifar.protocol.batch_size)
    assert images.train == 45_000
    assert steps == pytest.approx(64_000, rel=0.005)
