"""Checkpointed parts of a module are recomputed in backward with the tensors of their forward."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils import checkpoint

from bilevel.replacing import replaced

Again = Callable[[Callable[[], Any]], Any]
"""Runs a function as the forward pass ran it."""
NAME = "_checkpoint_hook"
"""Of what `checkpoint(use_reentrant=False)` runs a function under; it has no public way in."""


@contextmanager
def recomputed(taken: Callable[[], Again]) -> Iterator[None]:
    """While this lasts, what `checkpoint(use_reentrant=False)` leaves out is recomputed so.

    PyTorch's hook is another one meanwhile, in all threads. Where PyTorch has none of that name,
    this warns and does nothing.

    Args:
        taken: called when a checkpointed function is about to run; gives what runs it again.
    """
    own = getattr(checkpoint, NAME, None)
    if own is None:
        warnings.warn(
            f"PyTorch {torch.__version__} has no torch.utils.checkpoint.{NAME}: gradients of "
            "checkpointed parts of a module would be wrong here. Use none, or an older PyTorch.",
            stacklevel=2,
        )
        yield
        return

    def hook(frame: Any) -> Any:
        again, recompute = taken(), frame.recompute_fn
        frame.recompute_fn = lambda *inputs: again(lambda: recompute(*inputs))
        return own(frame)

    with replaced(checkpoint, NAME, hook):
        yield
