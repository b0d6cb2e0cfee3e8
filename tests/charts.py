"""Maps made by hand."""

import numpy as np

from analysis.look.classmap import ClassRepMap, Reading

NAN = float("nan")


def chart(*stages: dict[int, float], last: float, se: float = 0.005) -> ClassRepMap:
    """A map with these CRS per stage and scale; retention falls with coarseness."""
    readings = []
    for stage, values in enumerate(stages):
        best, native = max(values.values()), max(values)
        for cells, crs in values.items():
            readings.append(
                Reading(
                    source="trained",
                    estimator="knn",
                    place=f"stage {stage + 1}",
                    stage=stage,
                    cells=cells,
                    native=cells == native,
                    crs=crs,
                    crs_se=se,
                    lay=0.0,
                    lay_se=se,
                    head=crs - last,
                    head_se=se,
                    gain=crs - values[1],
                    gain_se=se,
                    below_best=best - crs,
                    below_best_se=se,
                    retention=cells / native,
                    agreement=1 - 0.05 * np.log2(native / cells),
                    rank=NAN,
                    bag=NAN,
                    bag_se=NAN,
                )
            )
    return ClassRepMap(
        readings=tuple(readings), num_networks=1, num_queries=500, num_gallery=500, classes=8
    )


STEP_AT_4 = {1: 0.25, 2: 0.3, 4: 0.95, 8: 0.96, 16: 0.99}
SECOND = {1: 0.25, 4: 0.97, 8: 0.98}
THIRD = {1: 0.3, 4: 0.305}
