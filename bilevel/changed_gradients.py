"""Hooks of a loss that change gradients: second derivatives through them are refused."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor
from torch._C._functorch import is_functorch_wrapped_tensor
from torch.autograd import forward_ad
from torch.utils import hooks

from bilevel.reading import leaving
from bilevel.unsupported import UnsupportedDerivativeError

HANDLE = "RemovableHandle"
"""Of the class whose instances hooks are registered under."""
_OWN = hooks.RemovableHandle
_Registered = list[tuple[MutableMapping[int, Any], int]]
_registered: ContextVar[_Registered | None] = ContextVar("registered", default=None)


@contextmanager
def hooks_watched(told: Callable[[], None], leaves: Sequence[Tensor]) -> Iterator[None]:
    """Hooks that tensors and modules get while this lasts are asked whether they change gradients.

    In backward, that is. A gradient that is not finite may be changed to one that is. PyTorch's
    class of handles is another one meanwhile, in all threads.

    Args:
        told: called where one is changed in a first derivative.
        leaves: the arguments of the loss that is evaluated.

    Raises:
        UnsupportedDerivativeError: from a gradient, later, where a second derivative is taken.
    """
    found: _Registered = []
    token = _registered.set(found)
    setattr(hooks, HANDLE, _Noting)
    try:
        yield
    finally:
        setattr(hooks, HANDLE, _OWN)
        _registered.reset(token)
        for held, number in found:
            if number in held:
                held[number] = _asking(held[number], told, forward=_with_tangents(leaves))


def _with_tangents(leaves: Sequence[Tensor]) -> bool:
    """Whether forward mode is at work, so that the next backward gives second derivatives."""
    pairs = (forward_ad.unpack_dual(leaf) for leaf in leaves)  # type: ignore[no-untyped-call]
    return any(pair.tangent is not None for pair in pairs)


class _Noting(_OWN):
    """A handle of a hook that is to come, of which this takes note."""

    def __init__(self, held: Any, **others: Any) -> None:
        _Noting.next_id = _OWN.next_id  # numbers go on from those of all handles
        super().__init__(held, **others)
        _OWN.next_id = self.id + 1
        if (found := _registered.get()) is not None:
            found.append((held, self.id))


def _asking(
    hook: Callable[..., Any], told: Callable[[], None], *, forward: bool
) -> Callable[..., Any]:
    @functools.wraps(hook)
    def asked(gradients: Any, *others: Any) -> Any:
        returned = hook(gradients, *others)
        if returned is not None and not leaving() and _changed(gradients, returned):
            if forward or torch.is_grad_enabled():  # the latter: backward makes a graph
                raise UnsupportedDerivativeError(
                    "a hook in a loss changes a gradient (register_hook, "
                    "register_full_backward_hook), so that second derivatives are of no loss. Take "
                    "it off. To clip, give `clip` to solve or alternating_step; to weigh a part, "
                    "weigh its term of the loss; for an implicit layer write an autograd.Function "
                    "with a differentiable backward, or take CentralDifference()."
                )
            told()
        return returned

    return asked


def _changed(before: Any, after: Any) -> bool:
    if isinstance(before, tuple):
        return any(map(_changed, before, after))
    if before is after or not (isinstance(before, Tensor) and isinstance(after, Tensor)):
        return False
    if is_functorch_wrapped_tensor(before):  # many at once, where one was asked before
        return False
    kept = torch.where(before.isfinite(), before, after)
    return before.shape != after.shape or not torch.equal(kept, after)
