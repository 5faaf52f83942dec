"""Rows of embeddings that stand for padding: they are used, and are constants by design."""

from __future__ import annotations

from torch import Tensor

from bilevel.unsupported import nodes
from bilevel.vector import Vector

Rows = tuple[tuple[int, int], ...]
"""Leaves of ω by their place, and a row of each."""


def padding_rows(value: Tensor, at: Vector) -> Rows:
    """The rows of ω that `embedding(padding_idx=...)` gives no gradient, in a loss's graph."""
    places = {id(leaf): place for place, leaf in enumerate(at.leaves)}
    found: set[tuple[int, int]] = set()
    for name, node in nodes([value]):
        row = getattr(node, "_saved_padding_idx", None) if name == "Embedding" else None
        if row is None or row >= node._saved_weight_sym_argsize_0:  # none is 2⁶⁴ − 1
            continue
        leaf = getattr(node.next_functions[0][0], "variable", None)
        if leaf is not None and id(leaf) in places:
            found.add((places[id(leaf)], row))
    return tuple(sorted(found))
