"""Checkpoints in their reentrant form whose gradient would be missing in silence are refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils import checkpoint

from bilevel.unsupported import UnsupportedDerivativeError

REENTRANT = "CheckpointFunction"
"""Of the function that `checkpoint(use_reentrant=True)` applies."""
_OWN = getattr(checkpoint, REENTRANT, None)


@contextmanager
def none_without_gradients() -> Iterator[None]:
    """While this lasts, `checkpoint(use_reentrant=True)` refuses inputs that need no gradient.

    It gives no gradient then of the weights that the function reads from its scope, and leaves
    nothing in the graph. PyTorch's function is another one meanwhile, in all threads.

    Raises:
        UnsupportedDerivativeError: where gradients are on.
    """
    if _OWN is None:
        yield
        return
    setattr(checkpoint, REENTRANT, _Asking)
    try:
        yield
    finally:
        setattr(checkpoint, REENTRANT, _OWN)


class _Asking:
    @staticmethod
    def apply(function: Any, keeps_random_state: bool, *inputs: Any) -> Any:
        tensors = [one for one in inputs if isinstance(one, Tensor)]
        if torch.is_grad_enabled() and not any(one.requires_grad for one in tensors):
            raise UnsupportedDerivativeError(
                "a loss calls checkpoint() in its reentrant form on inputs without gradients: what "
                "it computes is a constant then, whatever weights it reads. Pass "
                "use_reentrant=False."
            )
        return _OWN.apply(function, keeps_random_state, *inputs)  # type: ignore[union-attr]
