"""A private Ray on a machine of several users: nobody else can read, write, follow or ask it."""

import ipaddress
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from searches import descendants

from search.drive.ray_session import PREFIX, ray_session

NOBODY = 65534
LISTENS = "0A"  # state of a socket in /proc/net/tcp


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """That of a private Ray with one slot, whose worker runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STACNET_CPUS", "1")
        with ray_session(None):
            import ray

            ray.get(ray.remote(lambda: None).remote())
            yield next(Path("/tmp").glob(f"{PREFIX}{os.getpid()}-*"))


def as_nobody(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run as another user of the machine."""
    return subprocess.run(
        command, user=NOBODY, group=NOBODY, extra_groups=[], capture_output=True, text=True, cwd="/"
    )


def listeners(pids: set[int]) -> set[str]:
    """Addresses at which the processes listen, over IPv4 and IPv6."""
    inodes = {
        os.readlink(one)
        for pid in pids
        for one in Path(f"/proc/{pid}/fd").glob("*")
        if one.is_symlink()
    }
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            _, local, _, state, *rest = line.split()
            if state == LISTENS and f"socket:[{rest[5]}]" in inodes:
                found.add(local.partition(":")[0])
    return found


def address_of(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """From the kernel's notation: words of four bytes, each in the machine's order."""
    raw = b"".join(bytes.fromhex(text[at : at + 8])[::-1] for at in range(0, len(text), 8))
    address = ipaddress.ip_address(raw)
    return getattr(address, "ipv4_mapped", None) or address


@pytest.mark.skipif(os.getuid() != 0, reason="becomes another user")
def test_another_user_cannot_list_read_write_replace_or_follow(folder: Path) -> None:
    log = next(folder.glob("r/session_2*/logs/gcs_server.out"))
    assert as_nobody("ls", folder.parent).returncode == 0
    for command in (
        ("ls", folder),
        ("cat", folder / "token"),
        ("cat", log),
        ("touch", folder / "new"),
        ("ln", "-sf", "/etc/passwd", log),
        ("rm", "-f", log),
        ("mv", folder, f"{folder}-moved"),
    ):
        refused = as_nobody(*command)
        assert "Permission denied" in refused.stderr or "not permitted" in refused.stderr, command
    opened = as_nobody("find", "/tmp", "/dev/shm", "-maxdepth", "3", "-user", "root", "-writable")
    assert not [one for one in opened.stdout.split() if "stac-" in one or "plasma" in one]


def test_a_private_ray_listens_on_the_loopback_only(folder: Path) -> None:
    addresses = {address_of(text) for text in listeners({os.getpid(), *descendants(os.getpid())})}
    assert addresses
    assert all(address.is_loopback for address in addresses), addresses


def test_a_private_ray_refuses_who_has_no_token(folder: Path, tmp_path: Path) -> None:
    import ray

    where = ray.get_runtime_context().gcs_address
    ask = f"from ray._raylet import GcsClient; GcsClient({where!r}).internal_kv_keys(b'', None)"
    home = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "RAY_AUTH_MODE": "disabled"}
    asked = subprocess.run([sys.executable, "-c", ask], env=home, capture_output=True, text=True)
    assert "Authentication token is missing or incorrect" in asked.stderr


def test_the_token_is_neither_in_the_home_folder_nor_in_the_environment(folder: Path) -> None:
    token = (folder / "token").read_text()
    assert (folder / "token").stat().st_mode & 0o777 == 0o600
    assert token not in os.environ.values()
    theirs = Path.home() / ".ray" / "auth_token"
    assert not theirs.exists() or theirs.read_text() != token


def test_a_private_ray_has_no_process_that_nobody_would_ask(folder: Path) -> None:
    lines = [Path(f"/proc/{pid}/cmdline").read_text() for pid in descendants(os.getpid())]
    started = {Path(word).name for line in lines for word in line.split("\0")}
    assert "gcs_server" in started
    assert not {"monitor.py", "log_monitor.py", "dashboard.py"} & started


def test_socket_names_fit_with_the_longest_process_number(folder: Path) -> None:
    longest = max((str(one) for one in folder.glob("r/session_2*/sockets/*")), key=len)
    digits = len(str(os.getpid()))
    assert len(longest) + 2 * (7 - digits) <= 107
