"""Hosts out of Linux namespaces: own network, processes, home, /tmp; really killed and unplugged.

One "switch" (a network namespace with a bridge) and any number of hosts on it, each with sshd. All
of it is made of processes that die with this one (`setpriv --pdeathsig`), even if it is killed -9,
and the kernel takes networks and mounts away with them: nothing is left on the machine.

A host has the machine's files, but a private home (an overlay), no checkout, and this Python
environment at its usual place, writable, and found by `make setup` as if it had made it there.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
VENV = Path(sys.prefix).resolve()  # in a worktree it may be a link
HOME = Path.home()
SHARED = "/mnt/shared"  # the same folder on every host: what an NFS server would be
DIES_WITH_US = ["setpriv", "--pdeathsig", "KILL", "unshare", "--net"]
NAMESPACES = ["--mount", "--uts", "--ipc", "--pid", "--fork", "--mount-proc", "--kill-child"]
TOOLS = ("setpriv", "unshare", "nsenter", "ip", "rsync", "ssh", "ssh-keygen", "make", "git")

BOOT = """
set -e
hostname "$NAME"
ip link set lo up
mount -t tmpfs tmpfs /mnt
mkdir /mnt/shared /mnt/venv /mnt/home /mnt/up /mnt/ssh
mkdir /mnt/up/{venv,home,venv.work,home.work}
mount --bind "$SHARED_FROM" /mnt/shared
over() { mount -t overlay overlay -o "lowerdir=$1,upperdir=$2,workdir=$2.work" "$3"; }
over "$VENV" /mnt/up/venv /mnt/venv
over "$HOME" /mnt/up/home /mnt/home
rm -rf /mnt/home/{.ray,.stacnet,.cache,.ssh,.bash_profile,.bash_login}
mkdir -m 700 /mnt/home/.ssh
cp "$KEYS/id_ed25519" "$KEYS/id_ed25519.pub" /mnt/home/.ssh
cp "$KEYS/id_ed25519.pub" /mnt/home/.ssh/authorized_keys
echo "export STACNET_CPUS=$CPUS RAY_worker_niceness=0" > /mnt/home/.bashrc
echo '. ~/.bashrc' > /mnt/home/.profile
cp "$KEYS/host" /mnt/ssh/host && chmod 600 /mnt/ssh/host
# The user that cluster.local.yaml logs in as, at this home.
sed "1a ubuntu:x:$(id -u):$(id -g)::$HOME:/bin/bash" /etc/passwd > /mnt/passwd
mount --bind /mnt/passwd /etc/passwd
echo "127.0.0.1 localhost" > /mnt/hosts; echo "$ADDRESS $NAME" >> /mnt/hosts
mount --bind /mnt/hosts /etc/hosts
mount --bind /dev/null /etc/resolv.conf
mkdir /mnt/root && mount --bind "$ROOT" /mnt/root  # the checkout may lie in /tmp
for private in /dev/shm /run /tmp; do mount -t tmpfs tmpfs $private; done
mount --bind /mnt/home "$HOME"
mkdir -p "$HOME/stacnet" "$HOME/.stacnet-venv" && mount --bind /mnt/venv "$HOME/.stacnet-venv"
ln -s "$HOME/.stacnet-venv" "$HOME/stacnet/.venv"
make -s -C /mnt/root stamp BIN="$HOME/stacnet/.venv/bin" > /mnt/venv/.installed
umount /mnt/root
mkdir -p "$ROOT" && mount -t tmpfs tmpfs "$ROOT"
mkdir -p "$VENV" && mount --bind /mnt/venv "$VENV"
echo "$HOME/stacnet" > "$(ls "$VENV"/lib/python*/site-packages/_editable_impl_stacnet.pth)"
mkdir -p /run/sshd
/usr/sbin/sshd -D -e -h /mnt/ssh/host -o UsePAM=no -o StrictModes=no -o PermitRootLogin=yes &
wait
"""


def missing() -> str | None:
    """Why hosts cannot be made here, or None."""
    if os.geteuid() != 0:
        return "namespaces need root"
    lost = [tool for tool in TOOLS if not shutil.which(tool)]
    if not Path("/usr/sbin/sshd").exists():
        lost.append("sshd")
    if lost:
        return f"not installed: {', '.join(lost)}"
    probe = [
        "unshare",
        "--net",
        "--mount",
        "sh",
        "-c",
        "ip link add b0 type bridge && mount -t tmpfs t /mnt",
    ]
    tried = subprocess.run(probe, capture_output=True, text=True)
    return f"no namespaces: {tried.stderr.strip()}" if tried.returncode else None


def need_hosts() -> None:
    """Skip with the reason where hosts cannot be made; fail if CI=true says that they can."""
    reason = missing()
    if reason and os.environ.get("CI") == "true":
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)


@dataclass
class Host:
    """One machine on the switch.

    Args:
        name: its hostname.
        address: IPv4 address on the switch.
        init: the process outside that holds it; its only child is the host's process 1.
        switch: process id of the switch.
    """

    name: str
    address: str
    init: subprocess.Popen
    switch: int

    @property
    def pid(self) -> int:
        """The host's process 1, as seen from outside."""
        children = Path(f"/proc/{self.init.pid}/task/{self.init.pid}/children")
        while not (pids := children.read_text().split()):
            time.sleep(0.01)
        return int(pids[0])

    def popen(self, command: str, **pipes: int) -> subprocess.Popen:
        """Start a login shell command on the host."""
        inside = ["nsenter", "-t", str(self.pid), "-n", "-p", "-m", "-u", "-i", "env", "-i"]
        inside += [f"HOME={HOME}", f"PATH={os.environ['PATH']}", "LC_ALL=C.UTF-8", "bash", "-c"]
        return subprocess.Popen([*inside, f". ~/.bashrc; cd; {command}"], text=True, **pipes)

    def run(self, command: str, *, timeout: float = 60, check: bool = True) -> str:
        """Run a command on the host; its stdout and stderr together.

        Raises:
            AssertionError: it failed, with what it said.
        """
        with self.popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            try:
                said = process.communicate(timeout=timeout)[0]
            except subprocess.TimeoutExpired:
                process.kill()
                raise AssertionError(
                    f"{self.name}: {command}: {process.communicate()[0]}"
                ) from None
        assert not check or process.returncode == 0, f"{self.name}: {command}: {said}"
        return said

    def plug(self, *, into: bool) -> None:
        """Pull the network cable, or plug it in again."""
        end = "up" if into else "down"
        _in_network(self.switch, f"ip link set v{self.init.pid} {end}")

    def kill(self) -> None:
        """kill -9 process 1: power off, no goodbye."""
        self.init.kill()  # unshare --kill-child
        self.init.wait()

    def ray_processes(self) -> list[str]:
        """Command lines of Ray's processes on the host."""
        marks = ("raylet", "gcs_server", "ray::", "/ray/")
        return [p for p in self.run("ps -eo args=").splitlines() if any(m in p for m in marks)]


@dataclass
class Hosts:
    """The switch and what is plugged into it."""

    folder: Path
    switch: int
    alive: dict[str, Host] = field(default_factory=dict)

    def start(self, name: str, address: str, *, cpus: int) -> Host:
        """Boot a host that lends so many cores; returns when its sshd listens."""
        given = {
            "NAME": name,
            "CPUS": str(cpus),
            "ADDRESS": address,
            "ROOT": str(ROOT),
            "VENV": str(VENV),
            "KEYS": str(self.folder),
        }
        given |= {
            "HOME": str(HOME),
            "PATH": os.environ["PATH"],
            "SHARED_FROM": str(self.folder / "shared"),
        }
        command = [*DIES_WITH_US, *NAMESPACES, "bash", "-c", BOOT]
        with (self.folder / f"{name}.log").open("w") as log:
            init = subprocess.Popen(command, env=given, stdout=log, stderr=log)
        host = self.alive[name] = Host(name, address, init, self.switch)
        cable = f"v{init.pid}"
        _in_network(
            self.switch,
            f"ip link add {cable} type veth peer name eth0 netns {host.pid} && "
            f"ip link set {cable} master bridge up",
        )
        # One hardware address per IPv4 address, or the others look for a new head on the old card.
        hardware = "02:00:" + ":".join(f"{int(part):02x}" for part in address.split("."))
        card = f"ip link set eth0 address {hardware}; ip addr add {address}/24 dev eth0"
        start = "ip link set eth0 up; ip route add default dev eth0"
        _in_network(host.pid, f"{card}; {start}")
        _wait_for_ssh(host, self.folder / f"{name}.log")
        return host


@contextmanager
def hosts(folder: Path) -> Iterator[Hosts]:
    """A switch without hosts, and throw-away keys; everything is gone afterwards.

    Args:
        folder: logs and keys; its `shared` is `/mnt/shared` on every host.
    """
    (folder / "shared").mkdir(parents=True)
    for key in ("id_ed25519", "host"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True
        )
    switch = subprocess.Popen([*DIES_WITH_US, "sleep", "infinity"])
    world = Hosts(folder, switch.pid)
    try:
        _own_network(switch.pid)
        _in_network(switch.pid, "ip link add bridge type bridge && ip link set bridge up")
        yield world
    finally:
        for host in world.alive.values():
            host.kill()
        switch.kill()
        switch.wait()


def _own_network(pid: int) -> None:
    """Wait until the process has left our network namespace."""
    ours = os.readlink("/proc/self/ns/net")
    while os.readlink(f"/proc/{pid}/ns/net") == ours:
        time.sleep(0.01)


def _in_network(pid: int, command: str) -> None:
    subprocess.run(["nsenter", "-t", str(pid), "-n", "sh", "-c", command], check=True)


def _wait_for_ssh(host: Host, log: Path) -> None:
    for _ in range(3000):
        assert host.init.poll() is None, f"{host.name} did not boot: {log.read_text()}"
        if "listening" in log.read_text():
            return
        time.sleep(0.02)
    raise AssertionError(f"{host.name}: no sshd after a minute: {log.read_text()}")
