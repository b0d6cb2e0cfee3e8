"""The widened twins of a network: vanilla and SE at the cost of its attention, outside the space.

At twice the parameters a network that beats vanilla has shown nothing about attention yet.
"""

from collections.abc import Iterator
from typing import Literal

from stacnet.spec import AttentionSpec, NamedSpec, NetworkSpec

COSTS: tuple[tuple[Literal["params", "macs"], str], ...] = (
    ("params", "parameters"),
    ("macs", "MACs"),
)
MOST_TWINS = 4  # of one network


def widened_twins(spec: NetworkSpec, *, reduction: int) -> Iterator[tuple[str, NetworkSpec | None]]:
    """Name and network of each twin: vanilla and SE, each matched in parameters and in MACs.

    None of a vanilla network, whose twin it is itself, nor of one that is not ours. The network is
    None where no widths come within the tolerance of `stacnet.match`.

    Args:
        reduction: of SE.
    """
    from stacnet.match import matched  # torch, which a driver does not need

    if isinstance(spec, NamedSpec) or spec == spec.vanilla:
        return
    se = AttentionSpec(kind="se", reduction=reduction)
    for name, attention in (("widened vanilla", None), ("widened SE", se)):
        for by, words in COSTS:
            try:
                twin = matched(spec, by=by, attention=attention)
            except ValueError:
                twin = None
            yield f"{name} ({words})", twin
