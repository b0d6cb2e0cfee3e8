"""What would TPE have found? A sampler replayed on a finished study: `replay_sampler.py FOLDER`."""

import sys

import stac


def main(folder: str) -> None:
    """Print how soon the sampler is as good as the pick; nothing is trained."""
    result = stac.open(folder)
    print(result)
    for replay in stac.replay(result, "tpe", runs=20):
        needed = f"{replay.trials_to_match:g} trials, the median of {replay.runs} runs"
        print(f"{replay.name}: as good as the pick after {needed}")


if __name__ == "__main__":
    main(sys.argv[1])
