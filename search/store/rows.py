"""Rows of the store: what one attempt at a training leaves behind."""

import json
import platform
import subprocess
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from search.store.schema import FOR_ALL_STAGES, MAX_STAGES, PER_STAGE
from search.study.ends import End
from search.study.study import Study
from search.study.training import Job
from stacnet.ids import short_hash
from stacnet.protocol import EpochResult
from stacnet.spec import NetworkSpec, ResNetSpec

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Effort:
    """What an attempt cost. Seconds; `wasted_s` is the part without result or checkpoint."""

    started_at: datetime
    ended_at: datetime
    wall_s: float
    wait_s: float | None = None
    wasted_s: float = 0.0
    fraction: float = 1.0
    peak_mem_bytes: int | None = None
    device_name: str | None = None
    hostname: str | None = None


def training_row(job: Job, study: Study, *, status: End, effort: Effort, facts: Row) -> Row:
    """One row of `trainings`.

    Args:
        job: the attempt.
        study: whose row it is.
        status: how it ended.
        effort: what it cost.
        facts: further columns: static cost, results, error.
    """
    study_id, space_id = study_and_space_id(study)
    identity = {
        "study_id": study_id,
        "space_id": space_id,
        "network_id": job.training.network_id,
        "protocol_id": job.training.protocol_id,
        "seed": job.training.seed,
        "attempt": job.attempt,
        "lease": job.lease or None,
        "point": job.training.point,
    }
    spent = {
        "wait_s": effort.wait_s,
        "wall_s": effort.wall_s,
        "device_s": effort.wall_s * effort.fraction,
        "wasted_device_s": effort.wasted_s * effort.fraction,
        "device_fraction": effort.fraction,
        "peak_mem_bytes": effort.peak_mem_bytes,
        "device_name": effort.device_name,
        "hostname": effort.hostname,
    }
    origin = {
        "suggested_by": job.training.suggested_by,
        "order": job.order,
        "started_at": effort.started_at,
        "ended_at": effort.ended_at,
        "versions": versions(),
        "code_commit": code_commit(),
    }
    return (
        identity | network_columns(job.training.spec) | {"status": status} | spent | origin | facts
    )


def epoch_rows(job: Job, results: list[EpochResult]) -> list[Row]:
    """Rows of `epochs`, one for each finished epoch."""
    key = {
        "network_id": job.training.network_id,
        "protocol_id": job.training.protocol_id,
        "seed": job.training.seed,
        "attempt": job.attempt,
        "lease": job.lease or None,
    }
    return [key | asdict(r) | {"epoch_s": r.train_s + r.eval_s} for r in results]


def network_columns(spec: NetworkSpec) -> Row:
    """The flat, typed columns that describe a network."""
    columns: Row = {
        "spec_json": json.dumps(spec.to_dict(), sort_keys=True, separators=(",", ":")),
        "input_size": spec.input_size,
    }
    if isinstance(spec, ResNetSpec):
        columns |= {"depth": spec.depth, "block": spec.block, "stem": spec.stem}
        columns["width"] = spec.widths[0]
    for stage, attention in enumerate(spec.attention[:MAX_STAGES], start=1):
        if attention is not None:
            size = spec.map_sizes[stage - 1]
            columns[f"s{stage}_scale"] = attention.scale or size
            columns |= {f"s{stage}_{name}": getattr(attention, name) for name in PER_STAGE}
    present = [attention for attention in spec.attention if attention is not None]
    for name in FOR_ALL_STAGES:
        values = {str(getattr(attention, name)) for attention in present}
        columns[name] = values.pop() if len(values) == 1 else None
    return columns


@lru_cache(maxsize=8)
def study_and_space_id(study: Study) -> tuple[str, str]:
    """Hash of the definition, and of its space alone; 16 hex digits each."""
    space = json.dumps(json.loads(study.to_json())["space"], sort_keys=True)
    return study.study_id, short_hash(space)


@lru_cache(maxsize=1)
def versions() -> str:
    """JSON: python, torch, ray, optuna, stacnet."""
    found = {"python": platform.python_version()}
    for package in ("torch", "ray", "optuna", "stacnet"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return json.dumps(found)


@lru_cache(maxsize=1)
def code_commit() -> str | None:
    """Git commit of the code that runs, with `+` if it was changed; None if it is in none."""
    return commit_of(Path(__file__).parents[2])


def commit_of(root: Path) -> str | None:
    """The commit of the packages in a folder.

    A repository that happens to hold the environment into which the packages were installed does
    not track them, and says nothing about them.
    """
    exported = root / "COMMIT"  # what `ray up` mounts is no checkout
    if exported.exists():
        return exported.read_text().strip()
    commands = (
        ["git", "ls-files", "--error-unmatch", "search/store/rows.py"],
        ["git", "rev-parse", "HEAD"],
        ["git", "status", "--porcelain", "-uno"],
    )
    try:
        _, commit, changes = (
            subprocess.run(
                command, cwd=root, capture_output=True, text=True, timeout=10, check=True
            ).stdout.strip()
            for command in commands
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return commit + ("+" if changes else "")


def code_facts() -> dict[str, str | None]:
    """Commit and versions of the code that runs."""
    return {"commit": code_commit(), **json.loads(versions())}


def now() -> datetime:
    """The time of day, for people."""
    return datetime.now(UTC)
