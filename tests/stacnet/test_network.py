"""Networks by their importable names: described, built, priced, trained, and told apart."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from nets import SMALL

from stacnet.attention_spec import AttentionSpec
from stacnet.cost import cost, price
from stacnet.data.images import load
from stacnet.data_spec import Digits
from stacnet.named_spec import SOURCES, NamedSpec
from stacnet.network import build, last_map, named, outline, taps
from stacnet.protocol import Protocol
from stacnet.spec import spec_from_dict
from stacnet.train import Trainer

STAC = AttentionSpec(scale=2, reduction=2)


@pytest.fixture
def small(tmp_path: Path) -> NamedSpec:
    """The small network on 8x8 pixels."""
    return described(tmp_path, SMALL)


def described(folder: Path, text: str) -> NamedSpec:
    (folder / "my_net.py").write_text(text)
    return named(f"{folder}/my_net.py:make", input_size=8, classes=10, width=6)


def test_a_network_is_described_by_its_sites(small: NamedSpec) -> None:
    assert taps(small) == (("fine.0.last", "fine.1.last"), ("coarse.last",))
    assert (small.blocks, small.map_sizes) == ((2, 1), (8, 4))
    assert [stage.channels for stage in small.stages] == [(8, 8), (12,)]
    assert last_map(small) == "coarse"
    assert small.title.endswith("my_net.py:make(width=6)")


def test_a_description_survives_json_and_says_what_does_not_fit(small: NamedSpec) -> None:
    gated = replace(small, attention=(STAC, None))
    plain = json.loads(json.dumps(gated.to_dict()))
    assert spec_from_dict(plain) == gated
    assert spec_from_dict(gated.to_dict()).network_id == gated.network_id
    with pytest.raises(ValueError, match="attention must have one entry per stage"):
        replace(small, attention=(STAC,))
    with pytest.raises(ValueError, match="no such field; did you mean source"):
        spec_from_dict(plain | {"sourse": ""})
    with pytest.raises(ValueError, match="position must be post"):
        replace(small, attention=(replace(STAC, position="mid"), None))


@pytest.mark.parametrize(
    ("told", "rule"),
    [
        ({"input_size": 2**61}, "images must have a size that can be"),
        ({"input_size": float("nan")}, "input_size must be a whole number of at least 1, got"),
        ({"classes": -1}, "classes must be a whole number of at least 1, got classes=-1"),
        ({"num_classes": 3}, "num_classes must be told as classes"),
        ({"width": float("nan")}, "must return a torch module, got"),
        ({"in_channels": 1}, "the network must take images of"),
    ],
)
def test_what_cannot_be_described_is_refused(
    small: NamedSpec, told: dict[str, Any], rule: str
) -> None:
    with pytest.raises(ValueError, match=rule):
        named(small.name, **({"input_size": 8, "classes": 10} | told))


def test_equal_networks_are_equal_values(small: NamedSpec) -> None:
    def gated(**fields: object) -> NamedSpec:
        return replace(small, attention=(replace(STAC, **fields), None))

    assert gated(scale=8) == gated(scale=None)
    assert gated(placement=(0, 1)) == gated(placement="all")
    assert gated(placement=(1,)) == gated(placement="last") != gated(placement=(0,))
    assert gated(placement=()) == small == small.vanilla


def test_where_channels_differ_a_reduction_is_what_was_asked() -> None:
    spec = named("torchvision:mobilenet_v3_small", input_size=64, classes=10)
    stage = next(i for i, one in enumerate(spec.stages) if len(set(one.channels)) > 1)
    gates = [None] * len(spec.stages)
    for reduction in (3, 5, 16):
        gates[stage] = AttentionSpec(scale=2, reduction=reduction)  # type: ignore[call-overload]
        found = replace(spec, attention=tuple(gates)).attention[stage]
        assert found is not None
        assert found.reduction == reduction


@pytest.mark.parametrize("placement", ["all", "last", (0,)])
def test_the_price_of_a_named_network_is_its_cost(small: NamedSpec, placement: object) -> None:
    gated = replace(small, attention=(replace(STAC, placement=placement), STAC))
    assert price(gated) == cost(gated)
    assert cost(gated).params == sum(p.numel() for p in build(gated).parameters())
    assert cost(gated).receptive_field is None


def test_weights_depend_on_the_seed_alone_and_are_shared_outside_the_gates(
    small: NamedSpec,
) -> None:
    state = torch.get_rng_state()
    vanilla, gated = build(small, seed=3), build(replace(small, attention=(STAC, STAC)), seed=3)
    assert torch.equal(torch.get_rng_state(), state)
    own = {k: v for k, v in gated.state_dict().items() if ".attention." not in k}
    assert own.keys() == vanilla.state_dict().keys()
    assert all(torch.equal(value, vanilla.state_dict()[key]) for key, value in own.items())
    other = build(small, seed=4).state_dict()
    assert not torch.equal(other["stem.weight"], own["stem.weight"])
    assert all(p.is_meta for p in outline(replace(small, attention=(STAC, STAC))).parameters())


def test_a_run_resumed_from_its_checkpoint_equals_the_unbroken_one(small: NamedSpec) -> None:
    spec, recipe = (
        replace(small, attention=(STAC, STAC)),
        Protocol(data=Digits(), epochs=2, ema=0.9),
    )
    unbroken, broken = (Trainer(spec, recipe, load(Digits()), seed=1) for _ in range(2))
    while not unbroken.done:
        unbroken.run()
    broken.run(budget_s=0.0)  # one step
    again = Trainer(spec, recipe, load(Digits()), seed=1)
    again.load_state_dict(broken.state_dict())
    while not again.done:
        again.run()
    one, other = (run.model.state_dict() for run in (unbroken, again))
    assert all(torch.equal(value, other[key]) for key, value in one.items())


def test_a_source_that_is_gone_or_another_is_known_by_its_text(
    small: NamedSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = build(small).state_dict()
    changed = described(
        tmp_path, SMALL.replace("nn.Conv2d(3, 8, 3, padding=1)", "nn.Conv2d(3, 8, 1)")
    )
    assert changed.source != small.source
    assert changed.network_id != small.network_id
    (tmp_path / "my_net.py").unlink()
    assert all(torch.equal(v, before[k]) for k, v in build(small).state_dict().items())
    assert build(changed).state_dict()["stem.weight"].shape == (8, 3, 1, 1)
    monkeypatch.delitem(SOURCES, small.source)
    with pytest.raises(ValueError, match=f"the one that was described, {small.source}, got none"):
        build(small)
