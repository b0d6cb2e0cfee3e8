"""What the words mean that a help page uses; told below each page that uses them."""

import re
import textwrap
from collections.abc import Iterator

WIDTH = 80
WORDS = {
    "study": "networks, a protocol, seeds, and the order in which they are tried",
    "protocol": "how each network is trained: the data it sees and the recipe",
    "training": "one network, trained from one seed",
    "slot": "what one training holds while it runs: a core, or a share of a GPU",
    "vanilla": "the network without attention",
    "SE": "attention of Squeeze-and-Excitation: one gate value per channel",
    "map": "how well classes can be told apart, per stage and scale of vanilla",
    "headroom": "how much better a place of the map tells classes apart than the last layer",
    "rule": "a way to turn the map into a choice of networks",
    "picks": "the networks that the rules choose without a search",
    "frontier": "the best accuracy that the search found at each cost",
    "finalists": "networks that are trained again with fresh seeds",
}


def explained(page: str) -> Iterator[str]:
    """A line for each word of the page that a newcomer may not know."""
    indent = 2 + max(map(len, WORDS)) + 2
    for word, meaning in WORDS.items():
        stem = word.removesuffix("s")
        plural = "ies" if stem.endswith("y") else "s"
        if re.search(rf"\b({stem}|{stem.removesuffix('y')}{plural})\b", page):
            first = f"  {word:<{indent - 2}}"
            yield textwrap.fill(
                meaning, WIDTH, initial_indent=first, subsequent_indent=" " * indent
            )
