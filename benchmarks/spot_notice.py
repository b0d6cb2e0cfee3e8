"""What a spot machine that is taken away costs, with the cloud's notice and without.

Three real Ray nodes, two trainings, one node killed in the middle; the notice comes from a
metadata server on the loopback, as EC2's. Prints the device-seconds that are lost.
"""

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from spot import lose_a_node  # pyright: ignore[reportMissingImports]


def main() -> None:
    """Both ways, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=900)
    parser.add_argument("--after-s", type=float, default=25.0)
    asked = parser.parse_args()
    for notice in (False, True):
        with tempfile.TemporaryDirectory(prefix="spot-") as folder:
            rows = lose_a_node(
                Path(folder),
                epochs=asked.epochs,
                notice=notice,
                after_s=asked.after_s,
                warning_s=12.0,
            )
        lost = [row for row in rows if row["status"] != "complete"]
        wasted = sum(row["wasted_device_s"] for row in lost)
        of = sum(row["wall_s"] for row in lost)
        told = "with the notice   " if notice else "without the notice"
        print(f"{told} {wasted:6.1f} of {of:5.1f} device-seconds lost", flush=True)


if __name__ == "__main__":
    main()
