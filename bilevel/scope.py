"""Tensors that a loss takes from its scope in place of its arguments, while an estimator runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from torch import Tensor, nn

from bilevel.connection import DisconnectedError, names_of
from bilevel.unsupported import WRONG_ONCE, nodes, refuse_wrong
from bilevel.vector import Vector


@dataclass
class Passed:
    """The tensors that a caller passed, which the losses get as others in the same memory.

    Attributes:
        leaves: by the identity of a tensor, its symbol, point and place there.
        strangers: trainable parameters that a loss used and that are neither ω nor α.
        looked: the losses that were looked at: one graph of each is enough.
        hooked: whether a hook of a loss has changed a gradient.
    """

    leaves: dict[int, tuple[str, Vector, int]]
    strangers: dict[int, str] = field(default_factory=dict)
    looked: set[str] = field(default_factory=set)
    hooked: bool = False


_passed: ContextVar[Passed | None] = ContextVar("passed", default=None)


@contextmanager
def passed(**points: Vector) -> Iterator[Passed]:
    """While this lasts, a loss that takes these very tensors from its scope is refused.

    Args:
        points: the points that the caller passed, by symbol. Those of an outer context count too.
    """
    around = _passed.get()
    leaves = {} if around is None else dict(around.leaves)
    for symbol, point in points.items():
        for place, leaf in enumerate(point.leaves):
            if leaf.requires_grad:  # a graph holds no others
                leaves[id(leaf)] = symbol, point, place
    here = Passed(leaves)
    token = _passed.set(here)
    try:
        yield here
    finally:
        _passed.reset(token)


def gradient_changes_noted() -> Callable[[], None]:
    """What takes note, from any thread, that a hook has changed a gradient."""
    here = _passed.get()

    def note() -> None:
        if here is not None:
            here.hooked = True

    return note


def look(which: str, value: Tensor, **points: Vector) -> None:
    """Look through the graph of a loss, once an estimate: about a microsecond a node.

    Args:
        which: "inner" or "outer".
        value: the loss.
        points: its arguments, by symbol.

    Raises:
        DisconnectedError: the loss uses a tensor that the caller passed as ω or α, or one in the
            memory of an argument, and not the argument that stands for it.
        UnsupportedDerivativeError: PyTorch gets the gradient of an operation wrong.
    """
    here = _passed.get()
    if here is None or value.grad_fn is None or which in here.looked:
        return
    here.looked.add(which)
    refuse_wrong("A gradient", [value], WRONG_ONCE)
    own = {id(leaf) for point in points.values() for leaf in point.leaves}
    for _, node in nodes([value]):
        leaf: Tensor | None = getattr(node, "variable", None)
        if leaf is None:
            continue
        if found := here.leaves.get(id(leaf)):
            symbol, point, place = found
            raise DisconnectedError(
                f"the {which} loss takes the leaf {names_of(point, [place])} of {symbol} from the "
                "enclosing scope and not from its arguments, so that no derivative with respect to "
                "it is seen. Compute the loss from what it is passed; with from_module, from the "
                "bound module. Where a constant is meant, detach() it."
            )
        if isinstance(leaf, nn.Parameter):
            here.strangers[id(leaf)] = f"of shape {tuple(leaf.shape)} in the {which} loss"
        elif id(leaf) not in own:
            _refuse_in_place_of(points, which, leaf)


def _refuse_in_place_of(points: Mapping[str, Vector], which: str, stranger: Tensor) -> None:
    """Raise if a tensor in a loss's graph lies in the memory of an argument."""
    for symbol, point in points.items():
        for place, leaf in enumerate(point.leaves):
            # one that is not tracked is a constant, which a loss may track itself
            tracked = leaf.requires_grad and leaf.is_leaf and leaf.numel() > 0
            same = leaf.data_ptr() == stranger.data_ptr() and leaf.shape == stranger.shape
            if tracked and same:
                raise DisconnectedError(
                    f"the {which} loss takes the leaf {names_of(point, [place])} of {symbol} from "
                    "the enclosing scope, or from an earlier evaluation of which something was "
                    "kept, and not from its arguments, so that no derivative with respect to it is "
                    "seen. Compute the loss afresh from what it is passed each time. Where a "
                    "constant is meant, detach() it."
                )


def versions(points: Sequence[Vector]) -> list[int]:
    """How often the tensors have been written to."""
    return [leaf._version for point in points for leaf in point.leaves]


def refuse_written(before: list[int], **points: Vector) -> None:
    """Raise if a loss wrote to one of the tensors.

    Raises:
        ValueError: with its name.
    """
    for symbol, point in points.items():
        own, before = before[: len(point.leaves)], before[len(point.leaves) :]
        for place, (leaf, version) in enumerate(zip(point.leaves, own, strict=True)):
            if leaf._version != version:
                raise ValueError(
                    f"a loss wrote to the leaf {names_of(point, [place])} of {symbol} in place "
                    "(clamp_, copy_, an embedding with max_norm, ...), so that it moves while it "
                    "is differentiated. Compute a new tensor from it instead."
                )
