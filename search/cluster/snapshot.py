"""The code that goes to a cluster: a clean export of the checkout that says which commit it is."""

import os
import shutil
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

from search.errors import ClusterError


def export(checkout: Path, *, to: Path) -> None:
    """Tracked files as they are now, and the commit they are (`+` if changed) in COMMIT."""
    head = _git(checkout, "rev-parse", "HEAD").decode().strip()
    changed = _git(checkout, "stash", "create").decode().strip()
    archive = _git(checkout, "archive", "--format=tar", changed or head)
    shutil.rmtree(to, ignore_errors=True)
    with tarfile.open(fileobj=BytesIO(archive)) as tar:
        tar.extractall(to, filter="data")
    (to / "COMMIT").write_text(head + ("+" if changed else "") + "\n")


def _git(checkout: Path, *words: str) -> bytes:
    done = subprocess.run(["git", "-C", checkout, *words], capture_output=True)
    if done.returncode:
        why = done.stderr.decode().strip()
        raise ClusterError(f"{checkout.absolute()}: must be a git checkout with a commit: {why}")
    return done.stdout


def make_token(file: Path) -> None:
    """A secret that only this user can read; an existing one stays."""
    if not file.exists():
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as token:
            token.write(os.urandom(32).hex())
