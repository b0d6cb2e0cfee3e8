"""How an attempt at a training can end, and what each end means for the training: one table."""

from dataclasses import dataclass
from typing import Literal

End = Literal["complete", "pruned", "failed", "diverged", "oom", "preempted"]


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """What follows from an end.

    Args:
        is_final: the training needs no further attempt, and no second of this one was wasted.
        is_fault: the network's training went wrong; its loss may be no number.
        keeps_checkpoint: an attempt may go on from there (a pruned training, once it is promoted).
    """

    is_final: bool = False
    is_fault: bool = False
    keeps_checkpoint: bool = True


ENDS: dict[End, Meaning] = {
    "complete": Meaning(is_final=True, keeps_checkpoint=False),
    "pruned": Meaning(is_final=True),
    "failed": Meaning(is_fault=True),
    "diverged": Meaning(is_final=True, is_fault=True, keeps_checkpoint=False),
    "oom": Meaning(is_fault=True),
    "preempted": Meaning(),  # the machine's fault
}
FINAL = frozenset(end for end, meaning in ENDS.items() if meaning.is_final)
FAULTS = frozenset(end for end, meaning in ENDS.items() if meaning.is_fault)
OWN_FAULTS = FAULTS - FINAL  # count against the training, which is given up after `max_attempts`
