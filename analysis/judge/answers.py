"""Which test images each training got right: the second sample that an accuracy rests on.

Shapes: N networks, S seeds, C some of the seeds, I test images.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from analysis.judge.results import Results

Floats = NDArray[np.float64]
COLUMNS = ("network_id", "protocol_id", "seed", "status", "test_acc_last", "test_correct")


@dataclass(frozen=True, eq=False)
class Answers:
    """One bit per test image of each training.

    Args:
        bits: as stored (numpy.packbits), one entry for each training that has them.
        place_NS: which entry is a training's; -1 for none.
        images: number of test images.
        diverged_NS: trainings without an answer: every image counts as guessed.
        chance: that a guess is right.
        groups_I: images of one group are drawn together; None: each by itself.
    """

    bits: pa.BinaryArray
    place_NS: NDArray[np.int64]
    images: int
    diverged_NS: NDArray[np.bool_]
    chance: float
    groups_I: NDArray[np.int64] | None = None

    def right(self, row: int, columns: NDArray[np.int64]) -> Floats | None:
        """Of one network with these seeds, 1 where an image is right: (C, I); None if unknown."""
        right_CI = np.full((len(columns), self.images), self.chance)
        for right_I, column in zip(right_CI, columns, strict=True):
            place = self.place_NS[row, column]
            if place >= 0:
                packed = np.frombuffer(self.bits[place].as_py(), np.uint8)
                right_I[:] = np.unpackbits(packed, count=self.images)
            elif not self.diverged_NS[row, column]:
                return None
        return right_CI

    @cached_property
    def num_groups(self) -> int:
        """How many groups there are: of a typeface, a scene, or of one image each."""
        return self.images if self.groups_I is None else len(np.unique(self.groups_I))


def answers_from_table(
    table: pa.Table,
    results: Results,
    *,
    protocol_id: str,
    chance: float,
    groups_I: NDArray[np.int64] | None = None,
) -> Answers | None:
    """Read the bits of the trainings that `results` holds; None where none are stored.

    Args:
        table: with `COLUMNS`, one row a training.
        groups_I: of each test image, if the study says so.

    Raises:
        ValueError: bits that do not fit the accuracy beside them, or the groups.
    """
    wanted = (pc.field("status") == "complete") & (pc.field("protocol_id") == protocol_id)
    has_bits = pc.field("test_correct").is_valid()
    table = table.select(COLUMNS).filter(wanted & has_bits).combine_chunks()
    if not table.num_rows:
        return None
    images = _num_images(table)
    if groups_I is not None and len(groups_I) != images:
        raise ValueError(
            f"test_images: one row for each of {images} test images, got {len(groups_I)}"
        )
    column = {seed: at for at, seed in enumerate(results.seeds)}
    place_NS = np.full(results.test_NS.shape, -1, np.int64)
    keys = zip(table["network_id"].to_pylist(), table["seed"].to_pylist(), strict=True)
    for place, (network_id, seed) in enumerate(keys):
        row = results.row.get(network_id)
        if row is not None and seed in column:
            place_NS[row, column[seed]] = place
    bits = table["test_correct"].combine_chunks()
    return Answers(bits, place_NS, images, results.diverged_NS, chance, groups_I)


def _num_images(table: pa.Table) -> int:
    """The number that turns right answers into accuracies; the same for all rows.

    Bytes hold up to 7 more bits than there are images.
    """
    found = None
    for packed, accuracy in zip(
        table["test_correct"].to_pylist(), table["test_acc_last"].to_pylist(), strict=True
    ):
        right = int(np.bitwise_count(np.frombuffer(packed, np.uint8)).sum())
        if not right:
            continue  # any number of images fits
        images = round(right / accuracy) if accuracy else 0
        found = found or images
        if images != found or not 8 * len(packed) - 8 < images <= 8 * len(packed):
            raise ValueError(
                f"cells: test_correct must fit test_acc_last, got {right} right of "
                f"{8 * len(packed)} bits for {accuracy=}"
            )
    return found or 8 * len(table["test_correct"][0].as_py())
