"""On the worker: its machine's name and device, and how much memory a run took at most."""

import platform
import resource
import socket
from functools import lru_cache
from pathlib import Path

import torch


class PeakMemory:
    """Peak memory since construction: of the device if on a GPU, else of the process."""

    def __init__(self, *, on_gpu: bool) -> None:
        self._on_gpu = on_gpu and torch.cuda.is_available()
        if self._on_gpu:
            torch.cuda.reset_peak_memory_stats()
        else:
            _restart_high_water_mark()

    def peak_bytes(self) -> int:
        """Bytes at the highest moment."""
        if self._on_gpu:
            return torch.cuda.max_memory_allocated()
        try:
            status = Path("/proc/self/status").read_text()
            line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
            return 1024 * int(line.split()[1])
        except (OSError, StopIteration):
            return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def cap_gpu_memory(share: float) -> None:
    """Let this process allocate at most this share of its GPU; more is an out-of-memory error."""
    if share and torch.cuda.is_available():
        torch.cuda.set_per_process_memory_fraction(min(share, 1.0))


def gpu_bytes() -> int:
    """Memory of this machine's first GPU; 0 without one."""
    return torch.cuda.get_device_properties(0).total_memory if torch.cuda.is_available() else 0


@lru_cache(maxsize=2)
def device_name(*, on_gpu: bool) -> str:
    """Processor or accelerator, as it calls itself."""
    if on_gpu and torch.cuda.is_available():
        return torch.cuda.get_device_name()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(": ", 1)[1] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration, IndexError):
        return platform.processor() or platform.machine()


def hostname() -> str:
    """Name of this machine."""
    return socket.gethostname()


def _restart_high_water_mark() -> None:
    """Forget the peak of the trainings this process ran before (Linux; elsewhere it stays)."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return
