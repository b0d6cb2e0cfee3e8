"""What a damaged byte does: random bit flips and other damage to every kind of file of a store.

Run: python benchmarks/faults_bytes.py [--flips 2000] [--damages 1000] [--seed 0]

A file is read as before, or it is named and what it held is left out. WRONG is another value, or a
loss that nobody names; it must not happen, and neither may a traceback.
"""

import argparse
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import damaging as d  # pyright: ignore[reportMissingImports]


def run(flips: int, others: int, seed: int) -> tuple[Counter[tuple[str, str]], list[str]]:
    """Counts by kind of file and outcome, and what was WRONG or a traceback."""
    rng, counts, faults = random.Random(seed), Counter(), []
    with tempfile.TemporaryDirectory() as scratch:
        store = d.whole_store(Path(scratch) / "study")
        names = d.files(store)
        kinds = sorted({d.kind_of(name) for name in names})
        before = {name: d.values(store, name) for name in names}
        for number in range(flips + others):
            kind = kinds[number % len(kinds)]  # as often each: the bytes of parts are many more
            name = rng.choice([name for name in names if d.kind_of(name) == kind])
            damage = d.flipped if number < flips else rng.choice(list(d.DAMAGES.values()))
            found, why = d.damaged(store, name, damage, before[name], rng)
            counts[kind, found] += 1
            if found in ("WRONG", "traceback"):
                faults.append(f"{number} {name} {damage.__name__}: {found}: {why}")
    return counts, faults


def table(counts: Counter[tuple[str, str]]) -> str:
    """A line for each kind of file."""
    kinds = sorted({kind for kind, _ in counts})
    lines = [f"{'file':20}" + "".join(f"{name:>12}" for name in d.OUTCOMES)]
    for kind in [*kinds, "all"]:
        found = [
            sum(n for (k, o), n in counts.items() if o == name and kind in (k, "all"))
            for name in d.OUTCOMES
        ]
        lines.append(f"{kind:20}" + "".join(f"{number:12}" for number in found))
    return "\n".join(lines)


def main() -> int:
    """Print two tables; 1 if anything was WRONG or a traceback."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flips", type=int, default=2000)
    parser.add_argument("--damages", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    faults = []
    for what, flips, others in (
        ("bit flips", arguments.flips, 0),
        ("other damages", 0, arguments.damages),
    ):
        counts, more = run(flips, others, arguments.seed)
        print(f"{flips + others} {what}\n{table(counts)}\n", flush=True)
        faults += more
    print("\n".join(faults))
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
