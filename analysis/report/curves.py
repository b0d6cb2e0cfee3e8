"""Learning curves of the networks a reader asks about: best, worst, pick, vanilla."""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Validation accuracy after each epoch, shares.

    Args:
        mean, low, high: over seeds; low and high are the extremes.
    """

    label: str
    network_id: str
    epochs: tuple[int, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


def learning_curves(epochs: pa.Table, wanted: Mapping[str, str]) -> tuple[Curve, ...]:
    """Curves of some networks.

    Args:
        epochs: columns network_id, epoch, val_acc.
        wanted: label -> network id; those without epochs are left out.
    """
    found = []
    for label, network_id in wanted.items():
        mine = epochs.filter(pc.field("network_id") == network_id)
        by_epoch = mine.group_by("epoch").aggregate(
            [("val_acc", "mean"), ("val_acc", "min"), ("val_acc", "max")]
        )
        rows = by_epoch.sort_by("epoch").to_pylist()
        if rows:
            found.append(
                Curve(
                    label=label,
                    network_id=network_id,
                    epochs=tuple(row["epoch"] for row in rows),
                    mean=tuple(row["val_acc_mean"] for row in rows),
                    low=tuple(row["val_acc_min"] for row in rows),
                    high=tuple(row["val_acc_max"] for row in rows),
                )
            )
    return tuple(found)
