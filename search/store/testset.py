"""test_images.parquet: class and group of each test image, so that judging needs no images.

Bit i of a training's `test_correct` is of image i. Images of one group (one typeface, one scene)
are alike: they are drawn together where the test images are drawn anew.
"""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from search.errors import StoreError
from search.store.sealed import DAMAGE, seal_table, unseal_table
from search.store.storage import Storage
from stacnet.data.images import ImageSet

FILE = "test_images.parquet"
TEST_IMAGES = pa.schema(
    [
        pa.field("image", pa.int32(), metadata={"description": "place in the test split, from 0"}),
        pa.field("label", pa.int32(), metadata={"description": "class of the image, from 0"}),
        pa.field("group", pa.int32(), metadata={"description": "group, if the data has any"}),
    ]
)


def write_test_images(storage: Storage, test: ImageSet) -> None:
    """Write what is known of the test split's images besides their pixels."""
    columns = {
        "image": np.arange(len(test)),
        "label": test.labels_N,
        "group": pa.nulls(len(test)) if test.groups_N is None else test.groups_N,
    }
    table = pa.table(columns).cast(TEST_IMAGES)
    storage.write(FILE, seal_table(table.replace_schema_metadata({"table": "test_images"})))


def read_test_images(storage: Storage) -> pa.Table:
    """One row for each test image, in their order: image, label, group (all null without groups).

    Raises:
        FileNotFoundError: there is none: the study began before there were any.
        StoreError: it is damaged.
    """
    source = f"{storage.address}/{FILE}"
    table, is_proven = unseal_table(storage.read(FILE), source=source)
    if not is_proven:
        raise StoreError(f"{source}: must be as it was written, got no checksum")
    try:
        table = table.select(TEST_IMAGES.names).cast(TEST_IMAGES)
    except DAMAGE as error:
        raise StoreError(f"{source}: must list test images, got {error}") from None
    if not np.array_equal(table["image"].to_numpy(), np.arange(len(table))):
        raise StoreError(f"{source}: image must count from 0")
    if table["label"].null_count or table["group"].null_count not in (0, len(table)):
        raise StoreError(f"{source}: label must be there in each row, group in all or none")
    return table


def image_groups(storage: Storage) -> NDArray[np.int64] | None:
    """The group of each test image: (I,); None where the study does not say.

    Raises:
        StoreError: the file is damaged.
    """
    try:
        groups = read_test_images(storage)["group"]
    except FileNotFoundError:
        return None
    return None if groups.null_count else groups.to_numpy().astype(np.int64)
