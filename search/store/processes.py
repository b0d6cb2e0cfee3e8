"""Which process is which: boot, namespace and start time tell, where a pid may be given again."""

import os
import socket
from pathlib import Path


def process_identity(pid: int) -> str | None:
    """Boot, pid namespace and start time of a process here; None if there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, start_ticks = stat[0], stat[19]
    return None if state == "Z" else f"{this_machine()} {start_ticks}"


def this_machine() -> str | None:
    """Boot, host name and pid namespace of this machine; None where there is no /proc."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {socket.gethostname()} {os.readlink('/proc/self/ns/pid')}"
    except FileNotFoundError:
        return None
