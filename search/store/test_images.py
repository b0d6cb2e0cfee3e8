"""test_images.parquet: what a study's test images are of; images of one group are alike.

Optional, at the root of a study's folder: columns image, label, group (int32 or int64), one row a
test image in the order of the split. A null group is a group of its own.
"""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from search.errors import StoreError
from search.store.storage import Storage

FILE = "test_images.parquet"
COLUMNS = ("image", "label", "group")


def image_groups(storage: Storage) -> NDArray[np.int64] | None:
    """The group of each test image: (I,); None where the study does not say.

    Raises:
        StoreError: the file cannot be read, or lacks a column.
    """
    if not storage.exists(FILE):
        return None
    try:
        table = pq.read_table(io.BytesIO(storage.read(FILE)), columns=list(COLUMNS))
        image_I = table["image"].to_numpy()
        group_I = table["group"].cast(pa.float64()).to_numpy()
    except (pa.ArrowException, KeyError) as error:
        raise StoreError(f"{storage.address}/{FILE}: {error}") from None
    group_I = group_I[np.argsort(image_I, kind="stable")]
    alone_I = np.isnan(group_I)
    group_I[alone_I] = np.nanmax(np.append(group_I, 0)) + 1 + np.arange(alone_I.sum())
    return group_I.astype(np.int64)
