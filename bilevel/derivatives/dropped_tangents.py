"""Derivatives inside a loss that would drop the tangents of forward mode in silence are refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch.autograd import forward_ad, functional

from bilevel.replacing import replaced
from bilevel.unsupported import UnsupportedDerivativeError

NAME = "_grad_preprocess"
"""Of what the functions of `torch.autograd.functional` do to their inputs; it detaches those that
are not tracked by reverse mode."""


@contextmanager
def none_dropped() -> Iterator[None]:
    """While this lasts, `torch.autograd.functional` refuses inputs whose tangents it would drop.

    It loses them where forward mode alone follows an input. Where PyTorch has no function of that
    name, this does nothing, and `bilevel.check` names the fault.

    Raises:
        UnsupportedDerivativeError: for inputs of a derivative that was asked for with its graph.
    """
    own = getattr(functional, NAME, None)
    if own is None:
        yield
        return

    def asking(inputs: Any, create_graph: bool, need_graph: bool) -> Any:
        if create_graph and any(_followed_by_forward_mode_alone(one) for one in inputs):
            raise UnsupportedDerivativeError(
                "ReverseOverForward() met a derivative by torch.autograd.functional inside a loss, "
                "which drops tangents. Take it by torch.func.vjp or jacrev, or take Autograd()."
            )
        return own(inputs, create_graph=create_graph, need_graph=need_graph)

    with replaced(functional, NAME, asking):
        yield


def _followed_by_forward_mode_alone(one: Any) -> bool:
    tangent = forward_ad.unpack_dual(one).tangent  # type: ignore[no-untyped-call]
    return tangent is not None and not one.requires_grad
