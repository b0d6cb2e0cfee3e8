"""Write docs/costs.md: what every network of the comparison costs, counted from the network.

Run: python benchmarks/cost_table.py
"""

from itertools import product
from pathlib import Path

from stacnet.cost import price
from stacnet.spec import Attention, AttentionSpec, ResNetSpec, Stem, resnet

TARGET = Path(__file__).parent.parent / "docs" / "costs.md"
DEPTHS = (18, 34, 50, 101)
STEMS: tuple[Stem, ...] = ("s1", "s2", "imagenet")
FAMILIES: dict[str, tuple[Attention, ...]] = {
    "vanilla": (None,) * 4,
    "SE": (AttentionSpec(kind="se"),) * 4,
    "STAC-L": (AttentionSpec(scale=2, kernel=3),) * 4,
    "STAC-S": tuple(AttentionSpec(scale=scale, kernel=1) for scale in (8, 4, 2, 1)),
}
HEAD = """\
# What the networks cost

64x64 input, 1000 classes, reduction 16, attention in every block. STAC-L: kernel 3, scale 2.
STAC-S: kernel 1, scale 8, 4, 2, 1 in stages 1 to 4. Activations are the outputs of convolutions
and of the linear layer; training memory is an estimate for one image in fp32, without weights.
Written by `python benchmarks/cost_table.py`; a test compares it with the networks.

| depth | stem | network | parameters | ratio | MACs | more MACs | activations | saved |
|---:|---|---|---:|---:|---:|---:|---:|---:|
"""


def table() -> str:
    """The whole page."""
    return HEAD + "".join(
        row(resnet(depth, stem=stem, attention=attention), family)
        for depth, stem, (family, attention) in product(DEPTHS, STEMS, FAMILIES.items())
    )


def row(spec: ResNetSpec, family: str) -> str:
    """One network beside its vanilla twin."""
    held, vanilla = price(spec), price(spec.vanilla)
    entries = (
        str(spec.depth),
        spec.stem,
        family,
        f"{held.params:,}",
        f"{held.params / vanilla.params:.2f}",
        f"{held.macs:,}",
        f"{held.macs / vanilla.macs - 1:+.2%}",
        f"{held.activations:,}",
        f"{held.saved_bytes / 1e6:.1f} MB",
    )
    return f"| {' | '.join(entries)} |\n"


if __name__ == "__main__":
    TARGET.write_text(table())
    print(f"wrote {TARGET}")
