"""Whether ω and α reach the losses. A loss that takes them from elsewhere is refused by name."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from bilevel.unsupported import nodes
from bilevel.vector import Vector


class DisconnectedError(ValueError):
    """A loss does not use a tensor that it is differentiated with respect to."""


def names_of(point: Vector, places: Sequence[int]) -> str:
    """Up to three names of leaves, for a message."""
    names = point.names()
    return ", ".join(names[place] for place in places[:3]) + (", ..." if len(places) > 3 else "")


def refuse_closed_over(which: str, value: Tensor, **unused: tuple[Vector, Sequence[int]]) -> None:
    """Raise if the graph of a loss reaches the caller's own tensor in place of the one passed.

    Points are detached, so that a tensor from the closure of the loss is another one in the same
    memory. A walk through the graph of the loss, about a microsecond an operation; none where
    everything is used.

    Args:
        which: "inner" or "outer".
        value: the loss, with its graph.
        unused: by symbol, a point that was passed to it, and which leaves it does not use.

    Raises:
        DisconnectedError: the loss is a function of one of them after all.
    """
    searched = {
        leaf.data_ptr(): (symbol, point, place)
        for symbol, (point, places) in unused.items()
        for place in places
        if (leaf := point.leaves[place]).numel() > 0 and leaf.data_ptr() != 0
    }
    if not searched or value.grad_fn is None:
        return
    # the same tensor may be passed as both, so that the one's memory is the other's
    passed = {id(leaf) for point, _ in unused.values() for leaf in point.leaves}
    for _, node in nodes([value]):
        reached: Tensor | None = getattr(node, "variable", None)
        if reached is None:
            continue
        symbol, point, place = searched.get(reached.data_ptr(), ("", None, 0))
        if point is None or id(reached) in passed:
            continue
        if reached.shape == point.leaves[place].shape:
            raise DisconnectedError(
                f"the {which} loss takes the leaf {names_of(point, [place])} of {symbol} from the "
                f"enclosing scope and not from its arguments, so that no derivative with respect "
                f"to it is seen. Compute the loss from the {symbol} that it is passed."
            )
