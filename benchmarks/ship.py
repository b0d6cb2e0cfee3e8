"""Copy a finished study into search/shipped, with a card, Croissant metadata and checksums.

Run: python benchmarks/ship.py out/bench/sawtooth [...]

What goes along opens without training: merged tables, map, picks, the vanilla network's weights.
"""

import argparse
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from croissant import croissant, digests  # pyright: ignore[reportMissingImports]

from search.store.compact import merge_all
from search.store.shipped import FOLDER
from search.store.status import Status, status
from search.store.store import Store
from search.study.seeds import split_seeds
from search.study.study import Study
from search.study.training import id_of

FILES = (
    "study.json",
    "extras.json",
    "manifest.parquet",
    "test_images.parquet",
    "map.parquet",
    "attended.parquet",
    "picks.json",
    "replays.json",
)
CARD = Path(__file__).with_name("card.md")


def ship(source: str) -> Path:
    """Copy one study; where it lies now."""
    store = Store(source)
    merge_all(store)
    study = store.study()
    target = FOLDER / study.name
    shutil.rmtree(target, ignore_errors=True)
    for name in (*FILES, *_tables(store), *_weights(store, study)):
        if store.storage.exists(name):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes(store.storage.read(name))
    (target / "README.md").write_text(card(Store(target), study))
    (target / "croissant.json").write_text(
        json.dumps(croissant(target, study.name), indent=1) + "\n"
    )
    sums = [f"{digest}  {name}" for name, digest in digests(target)]
    (target / "SHA256SUMS").write_text("\n".join(sums) + "\n")
    return target


def _tables(store: Store) -> Iterator[str]:
    for folder in ("cells", "epochs"):
        yield from (f"{folder}/{name}" for name in store.storage.files(folder))


def _weights(store: Store, study: Study) -> Iterator[str]:
    """Of the vanilla networks, so that others can look at them."""
    for seed in study.seeds:
        key = (study.space.base.network_id, study.protocol.protocol_id, seed)
        yield f"weights/{id_of(key)}.pt"


def card(store: Store, study: Study) -> str:
    """What the folder holds, and how to ask it, for one who has nothing but it and DuckDB."""
    now = status(store)
    rows = store.trainings()
    commits = sorted({text for text in rows["code_commit"].to_pylist() if text})
    machines = sorted({text for text in rows["device_name"].to_pylist() if text})
    select = split_seeds(study.seeds, study.seeds)[0]
    return CARD.read_text().format(
        name=study.name,
        complete=now.complete,
        networks=len(set(rows["network_id"].to_pylist())),
        seeds=", ".join(map(str, study.seeds)),
        select=", ".join(map(str, select)),
        num_select=len(select),
        hours=now.device_s / 3600,
        machines="; ".join(machines),
        commits=", ".join(commits),
        data=json.dumps(json.loads(study.to_json())["protocol"]["data"], sort_keys=True),
        other=_other_ends(now),
        columns="\n".join(_columns(rows.schema)),
    )


def _other_ends(now: Status) -> str:
    ends = [f"{getattr(now, name)} {name}" for name in ("diverged", "failed", "missing")]
    return ", ".join(text for text in ends if not text.startswith("0 ")) or "none"


def _columns(schema: pa.Schema) -> Iterator[str]:
    for field in schema:
        about = {k.decode(): v.decode() for k, v in (field.metadata or {}).items()}
        unit = f" ({about['unit']})" if about.get("unit") else ""
        yield f"| `{field.name}` | {about.get('description', '')}{unit} |"


def main() -> None:
    """Ship the studies that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", nargs="+")
    for source in parser.parse_args().source:
        print(ship(source))


if __name__ == "__main__":
    main()
