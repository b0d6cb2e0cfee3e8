"""How long commands take that train nothing: wall clock and processor time of whole processes.

Run: OMP_NUM_THREADS=1 python benchmarks/startup.py [WORDS ...] [--times 3]

Each command by itself, as often as said, in turn; medians. The processor time is what other work on
the machine changes least.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time

COMMANDS = (
    "--version",
    "--help",
    "studies",
    "status bench:sawtooth",
    "bench",
    "cost --scale 2 --json",
    "compare bench:sawtooth --json",
    "compare bench:shifted-layouts --json",
    "compare bench:glyph-typefaces --json",
)
MAIN = (sys.executable, "-c", "from stac.cli.main import main; main()")


def run(command: str) -> tuple[float, float]:
    """Wall clock and processor seconds of one process, and of those that it starts."""
    before, began_s = os.times(), time.monotonic()
    subprocess.run([*MAIN, *command.split()], check=True, capture_output=True)
    after, wall_s = os.times(), time.monotonic() - began_s
    user_s = after.children_user - before.children_user
    return wall_s, user_s + after.children_system - before.children_system


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Start-up of commands")
    parser.add_argument("words", nargs="*", help="only commands that begin with one of these")
    parser.add_argument("--times", type=int, default=3)
    chosen = parser.parse_args()
    wanted = tuple(chosen.words) or ("",)
    commands = [command for command in COMMANDS if command.startswith(wanted)]
    found = {command: [run(command) for _ in range(chosen.times)] for command in commands}
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} threads, median of {chosen.times}")
    for command, seconds in found.items():
        wall_s, processor_s = map(statistics.median, zip(*seconds, strict=True))
        print(f"stac {command:<40} {wall_s:6.2f} s   processor {processor_s:6.2f} s")


if __name__ == "__main__":
    main()
