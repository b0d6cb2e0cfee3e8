"""Copy a finished study into search/shipped, with a card, Croissant metadata and checksums.

Run: python benchmarks/ship.py out/bench/sawtooth [...]

What goes along opens without training: merged tables, map, picks, the vanilla network's weights.
"""

import argparse
import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from search.store.compact import merge_all
from search.store.shipped import FOLDER
from search.store.status import Status, status
from search.store.store import Store
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
KINDS = {"int32": "sc:Integer", "int64": "sc:Integer", "double": "sc:Float", "bool": "sc:Boolean"}


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
    (target / "croissant.json").write_text(json.dumps(croissant(target, study), indent=1) + "\n")
    sums = [f"{digest}  {name}" for name, digest in _digests(target)]
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


def _digests(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            name = path.relative_to(folder).as_posix()
            yield name, hashlib.sha256(path.read_bytes()).hexdigest()


def card(store: Store, study: Study) -> str:
    """What the folder holds, and how to ask it, for one who has nothing but it and DuckDB."""
    now = status(store)
    rows = store.trainings()
    commits = sorted({text for text in rows["code_commit"].to_pylist() if text})
    machines = sorted({text for text in rows["device_name"].to_pylist() if text})
    return CARD.read_text().format(
        name=study.name,
        complete=now.complete,
        networks=len(set(rows["network_id"].to_pylist())),
        seeds=", ".join(map(str, study.seeds)),
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


def croissant(folder: Path, study: Study) -> dict[str, Any]:
    """Croissant 1.0 metadata of the tables (JSON-LD)."""
    files = [
        {
            "@type": "cr:FileObject",
            "@id": name,
            "name": name,
            "contentUrl": name,
            "encodingFormat": "application/vnd.apache.parquet",
            "sha256": digest,
        }
        for name, digest in _digests(folder)
        if name.endswith(".parquet")
    ]
    return {
        "@context": {
            "@vocab": "https://schema.org/",
            "sc": "https://schema.org/",
            "cr": "http://mlcommons.org/croissant/",
            "dct": "http://purl.org/dc/terms/",
            "conformsTo": "dct:conformsTo",
            "field": "cr:field",
            "recordSet": "cr:recordSet",
            "source": "cr:source",
            "extract": "cr:extract",
            "column": "cr:column",
            "fileObject": "cr:fileObject",
            "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
        },
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": f"stacnet {study.name}",
        "description": f"Every training of the study {study.name}: an exhaustive search for the "
        "place and scale of attention in a small residual network.",
        "license": "https://spdx.org/licenses/Apache-2.0.html",
        "version": "1.0.0",
        "distribution": files,
        "recordSet": [_records(folder, file["name"]) for file in files],
    }


def _records(folder: Path, name: str) -> dict[str, Any]:
    schema = pq.read_schema(folder / name)
    return {
        "@type": "cr:RecordSet",
        "@id": f"records of {name}",
        "name": name.split("/")[0].removesuffix(".parquet"),
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{name}/{field.name}",
                "name": field.name,
                "dataType": KINDS.get(str(field.type), "sc:Text"),
                "source": {"fileObject": {"@id": name}, "extract": {"column": field.name}},
            }
            for field in schema
        ],
    }


def main() -> None:
    """Ship the studies that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", nargs="+")
    for source in parser.parse_args().source:
        print(ship(source))


if __name__ == "__main__":
    main()
