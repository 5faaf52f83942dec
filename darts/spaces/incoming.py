"""The edges into each node of a space as tensors on a device."""

from functools import lru_cache

import torch
from torch import Tensor

from darts.spaces.space import Space


@lru_cache(maxsize=16)
def incoming_rows(space: Space, device: torch.device) -> tuple[Tensor, ...]:
    """Rows of α by node; sent to a device once, not at every step."""
    return tuple(torch.tensor(space.incoming(target), device=device) for target in space.targets)
