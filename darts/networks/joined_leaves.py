"""All weights in one tensor, where a gradient of each by itself would be a kernel of its own."""

from collections.abc import Mapping

import torch
from torch import Tensor


def joining_pays(omega: Mapping[str, Tensor]) -> bool:
    """Whether the number of kernels decides: on a GPU."""
    return next(iter(omega.values())).is_cuda


def joined(omega: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    """All numbers of ω one after another, and ω again as views of that.

    What is computed of both has one sum of two gradients, where each leaf would have had its own:
    in S1 more than a thousand. Leaves lie in memory as before. Costs one copy of ω.
    """
    parts = [_in_memory_order(leaf) for leaf in omega.values()]
    flat = torch.cat([part.flatten() for part in parts])
    pieces = torch.split(flat, [part.numel() for part in parts])
    views = {
        name: piece.view(part.shape) if part is leaf else piece.view(part.shape).permute(0, 3, 1, 2)
        for (name, leaf), part, piece in zip(omega.items(), parts, pieces, strict=True)
    }
    return flat, views


def _in_memory_order(leaf: Tensor) -> Tensor:
    """Weights that lie channels last as [out, height, width, in], others as they are."""
    last = leaf.dim() == 4 and leaf.is_contiguous(memory_format=torch.channels_last)
    return leaf.permute(0, 2, 3, 1) if last and not leaf.is_contiguous() else leaf
