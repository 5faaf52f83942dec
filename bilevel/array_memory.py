"""Where the values of a traced graph lie: buffers, given out again when they are free."""

from __future__ import annotations

import operator
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx

aten = torch.ops.aten
Array = NDArray[Any]
RESHAPES = (aten.view.default, aten._unsafe_view.default, aten.reshape.default)


class Memory:
    """Buffers, given out again when what they hold is not needed any more."""

    def __init__(
        self, nodes: Sequence[fx.Node], places: dict[fx.Node, Array], keep: set[fx.Node] | None
    ) -> None:
        self.places = places
        self.free: dict[tuple[Any, int], list[Array]] = defaultdict(list)
        self.held: dict[fx.Node, Array] = {}
        lies_in: dict[fx.Node, set[fx.Node]] = {}
        last: dict[fx.Node, fx.Node | None] = {}
        for node in nodes:
            lies_in[node] = {node}
            if is_view(node) or node.target in RESHAPES or node.target is operator.getitem:
                lies_in[node] |= {o for s in node.all_input_nodes for o in lies_in.get(s, ())}
            for source in node.all_input_nodes:
                last.update(dict.fromkeys(lies_in.get(source, ()), node))
        for kept in {*places, *(keep or ())}:
            last.update(dict.fromkeys(lies_in.get(kept, ()), None))
        self.dying: dict[fx.Node | None, list[fx.Node]] = defaultdict(list)
        for owner, reader in last.items():
            self.dying[reader].append(owner)

    def place(self, node: fx.Node, *, by_rows: bool = False) -> Any:
        """Where the value of the node will lie; several arrays for several values."""
        if node in self.places:
            return self.places[node]
        value = node.meta["val"]
        if not isinstance(value, Tensor):
            return tuple(None if part is None else _empty_like(part) for part in value)
        kind = (numpy_type(value.dtype), value.numel())
        raw = self.free[kind].pop() if self.free[kind] else np.empty(kind[1], kind[0])
        self.held[node] = raw
        shape = shape_of(node)
        if is_tall(shape) and not by_rows:
            return raw.reshape(shape[::-1]).T
        return raw.reshape(shape)

    def release(self, node: fx.Node) -> None:
        """Take back the buffers that the node was the last to read."""
        for owner in self.dying[node]:
            if owner in self.held:
                raw = self.held.pop(owner)
                self.free[raw.dtype, raw.size].append(raw)


def is_view(node: fx.Node) -> bool:
    """Whether the operation gives another look at its argument, by what its schema says."""
    if not isinstance(node.target, torch._ops.OpOverload):
        return False
    return any(result.alias_info is not None for result in node.target._schema.returns)


def is_tall(shape: tuple[int, ...]) -> bool:
    return len(shape) == 2 and shape[0] > shape[1]


def shape_of(node: fx.Node) -> tuple[int, ...]:
    return tuple(node.meta["val"].shape)


def _empty_like(value: Tensor) -> Array:
    return np.empty(tuple(value.shape), numpy_type(value.dtype))


def numpy_type(dtype: torch.dtype) -> Any:
    return torch.empty(0, dtype=dtype).numpy().dtype
