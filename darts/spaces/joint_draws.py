"""Random masks of a batch that several processes share: drawn for all of it, and cut."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Shard:
    """Which of how many equal shards of the batch a process holds.

    All processes draw for the whole batch under one random state, and each keeps its rows: what
    is drawn does not depend on the number of processes, nor does the random state afterwards.

    Args:
        index: number of the shard, from 0.
        count: number of shards.
    """

    index: int = 0
    count: int = 1

    def rows(self, x: Tensor) -> Tensor:
        """This shard of a tensor on the whole batch, [b·count ...] → [b ...]."""
        b = len(x) // self.count
        return x[self.index * b : (self.index + 1) * b]

    def drawn(self, draw: Callable[[tuple[int, ...]], Tensor], shape: torch.Size) -> Tensor:
        """Rows of `draw(shape of the whole batch)`; `shape` is that of this shard, [b ...]."""
        return self.rows(draw((shape[0] * self.count, *shape[1:])))

    def dropout(self, x: Tensor, probability: float, training: bool = True) -> Tensor:
        """`F.dropout` of this shard."""
        if self.count == 1 or not training or probability == 0:
            return F.dropout(x, probability, training)
        layout = (
            torch.channels_last
            if x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last)
            else torch.contiguous_format
        )  # masks are drawn in the order of the memory

        def mask(shape: tuple[int, ...]) -> Tensor:
            ones = torch.ones(shape, dtype=x.dtype, device=x.device)
            return F.dropout(ones.contiguous(memory_format=layout), probability)

        return x * self.drawn(mask, x.shape)


WHOLE = Shard()


class Drawing(nn.Module):
    """A module that draws masks or noise; `shard` says for which share of the batch."""

    shard: Shard = WHOLE


def share_draws(network: nn.Module, shard: Shard) -> None:
    """Let everything that `network` draws be for its shard of the batch, in place."""
    for module in network.modules():
        if isinstance(module, Drawing):
            module.shard = shard
