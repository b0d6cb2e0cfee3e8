"""A step of learning as a CUDA graph: recorded once, then replayed by a single launch.

A small network's step is some hundred kernels of a few microseconds, and launching them one by one
from Python takes longer than they do.
"""

import copy
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from stacnet.data.augment import Batch


class Recorded:
    """A step, recorded on a batch whose shape all later batches have.

    Recording runs nothing: memory and optimiser state must be there, as after eager steps.

    Args:
        step: what is recorded; it must not wait for the device.
        like: a batch of the shape.

    Raises:
        RuntimeError: the step cannot be recorded.
    """

    def __init__(self, step: Callable[[Batch], Tensor], like: Batch) -> None:
        self._given = replace(
            like,
            x_BCHW=torch.empty_like(like.x_BCHW),
            y_B=torch.empty_like(like.y_B),
            other_B=torch.empty_like(like.other_B),
            share=copy.copy(like.share),
        )
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._result = step(self._given)

    def __call__(self, batch: Batch) -> Tensor:
        """What the step returns for this batch."""
        given = self._given
        given.x_BCHW.copy_(batch.x_BCHW)
        given.y_B.copy_(batch.y_B)
        given.other_B.copy_(batch.other_B)
        if isinstance(given.share, Tensor):
            given.share.fill_(batch.share)
        self._graph.replay()
        return self._result.clone()
