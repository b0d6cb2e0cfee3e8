"""The code that goes to a cluster."""

import subprocess
from pathlib import Path

import pytest

from search.cluster.snapshot import export, make_token
from search.errors import ClusterError


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with one committed file."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "tracked.py").write_text("first")
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "first")
    return folder


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", folder, *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_a_clean_checkout_is_exported_with_its_commit(checkout, tmp_path):
    export(checkout, to=tmp_path / "tree")
    assert (tmp_path / "tree" / "COMMIT").read_text() == git(checkout, "rev-parse", "HEAD") + "\n"
    assert (tmp_path / "tree" / "tracked.py").read_text() == "first"


def test_changes_of_tracked_files_go_too_and_the_commit_says_so(checkout, tmp_path):
    (checkout / "tracked.py").write_text("second")
    export(checkout, to=tmp_path / "tree")
    assert (tmp_path / "tree" / "tracked.py").read_text() == "second"
    assert (tmp_path / "tree" / "COMMIT").read_text().endswith("+\n")
    assert (checkout / "tracked.py").read_text() == "second"
    assert git(checkout, "stash", "list") == ""


def test_what_is_not_tracked_and_what_lay_there_before_does_not_go(checkout, tmp_path):
    (checkout / "secret.env").write_text("token")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "old.py").write_text("of the last export")
    export(checkout, to=tmp_path / "tree")
    names = {path.name for path in (tmp_path / "tree").iterdir()}
    assert names == {"tracked.py", "COMMIT"}


def test_a_folder_that_is_no_checkout_is_refused(tmp_path):
    with pytest.raises(ClusterError, match="must be a git checkout with a commit"):
        export(tmp_path, to=tmp_path / "tree")


def test_a_token_is_long_is_ours_alone_and_stays(tmp_path):
    file = tmp_path / "auth_token"
    make_token(file)
    first = file.read_text()
    make_token(file)
    assert file.read_text() == first
    assert len(first) == 64
    assert file.stat().st_mode & 0o777 == 0o600
