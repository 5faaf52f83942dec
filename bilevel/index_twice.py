"""Writes to one place twice: PyTorch keeps one value, and gives each of them its gradient."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def writes_twice(name: str, node: Any) -> bool:
    """Whether a node of a graph wrote values that have a gradient to one place twice.

    Args:
        name: one of `WRITES`.
    """
    if name in ("MaxUnpool2D", "MaxUnpool3D"):
        planes = node._saved_indices.flatten(-int(name[-2])).flatten(0, -2)
        return any(_repeated(plane) for plane in planes)
    values, _ = node.next_functions[-1]
    if values is None or getattr(node, "_saved_accumulate", False):
        return False
    index = node._saved_indices if name == "IndexPut" else node._saved_index
    shape: list[int] = list(node._input_metadata[0].shape)
    if name == "IndexPut":
        return _twice_in(index, shape)
    if name == "Scatter" and index.dim():
        axis = node._saved_dim
        axis -= 2**64 if axis >= 2**63 else 0  # −1 is saved without its sign
        return bool((index.sort(axis).values.diff(dim=axis) == 0).any())
    return _repeated(index.remainder(math.prod(shape)) if name == "Put" else index)


WRITES = ("MaxUnpool2D", "MaxUnpool3D", "Scatter", "IndexPut", "IndexCopy", "Put")
"""Nodes of operations that write by an index."""


def _twice_in(indices: Sequence[Tensor | None], sizes: Sequence[int]) -> bool:
    """Whether t[indices] of a tensor of those sizes holds an entry twice."""
    columns: list[Tensor] = []
    axis = 0
    for index in indices:
        if index is None:
            axis += 1
        elif index.dtype in (torch.bool, torch.uint8):
            columns += index.nonzero().unbind(1)
            axis += index.dim()
        else:
            columns.append(index.remainder(sizes[axis]))  # counted from the end too
            axis += 1
    if not columns:
        return False
    shape = torch.broadcast_shapes(*(one.shape for one in columns))  # type: ignore[no-untyped-call]
    places = torch.stack([one.expand(shape).reshape(-1) for one in columns], 1)
    return len(torch.unique(places, dim=0)) < len(places)


def _repeated(index: Tensor) -> bool:
    return len(torch.unique(index)) < index.numel()
