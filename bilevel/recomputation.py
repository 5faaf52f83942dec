"""Checkpointed parts of a module are recomputed in backward with the tensors of their forward."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from torch.utils import checkpoint

Again = Callable[[Callable[[], Any]], Any]
"""Runs a function as the forward pass ran it."""

_again: ContextVar[Callable[[], Again] | None] = ContextVar("recomputed", default=None)


@contextmanager
def recomputed(taken: Callable[[], Again]) -> Iterator[None]:
    """While this lasts, what `checkpoint(use_reentrant=False)` leaves out is recomputed so.

    Args:
        taken: called when a checkpointed function has run; gives what runs it again.
    """
    token = _again.set(taken)
    try:
        yield
    finally:
        _again.reset(token)


class _Hook(checkpoint._checkpoint_hook):
    """PyTorch's own; only the function that its frame recomputes with is another."""

    def __init__(self, frame: Any) -> None:
        if taken := _again.get():
            again, recompute = taken(), frame.recompute_fn
            frame.recompute_fn = lambda *inputs: again(lambda: recompute(*inputs))
        super().__init__(frame)


checkpoint._checkpoint_hook = _Hook  # type: ignore[misc]
