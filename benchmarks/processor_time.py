"""Processor seconds of a command, process by process, with all that it starts.

`python benchmarks/processor_time.py stac search STUDY --out DIR`: on a quiet machine, since every
process that appears meanwhile is counted. Linux alone.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
SHOWN_S = 0.15
Process = tuple[int, int]  # id, and when it began


def running() -> dict[Process, tuple[float, str]]:
    """Processor seconds so far and command line of each process."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            text, words = (folder / "stat").read_text(), (folder / "cmdline").read_bytes()
        except OSError:
            continue  # it has just ended
        name, _, rest = text.partition("(")[2].rpartition(")")
        fields = rest.split()
        used_s = (int(fields[11]) + int(fields[12])) / TICKS
        line = words.replace(b"\0", b" ").decode(errors="replace").strip()
        found[int(folder.name), int(fields[19])] = (used_s, line or name)
    return found


def main() -> None:
    """Run the command and print its processes, the costliest first."""
    before, seen = running(), {}
    command = subprocess.Popen(sys.argv[1:])
    while command.poll() is None:
        seen |= {key: value for key, value in running().items() if key not in before}
        time.sleep(0.1)
    for used_s, line in sorted(seen.values(), reverse=True):
        if used_s >= SHOWN_S:
            print(f"{used_s:7.2f} s  {line[:90]}")
    print(f"{sum(used_s for used_s, _ in seen.values()):7.2f} s  in all")


if __name__ == "__main__":
    main()
