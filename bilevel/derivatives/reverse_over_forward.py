"""Curvature products as gradients of a directional derivative: Hv = ∇_ω ⟨∇_ω L_train, v⟩."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd import forward_ad

from bilevel.derivatives.curvature import Curvature, Derivatives
from bilevel.derivatives.dropped_tangents import none_dropped
from bilevel.linear import LinearOperator
from bilevel.problem import BilevelProblem
from bilevel.randomness import REMEDY, Draws
from bilevel.unsupported import (
    WRONG_OVER_FORWARD,
    Explaining,
    UnsupportedDerivativeError,
    refuse_wrong,
)
from bilevel.vector import Vector

_one_level = threading.RLock()
"""PyTorch has one level of forward mode for all threads of a process."""


@dataclass(frozen=True)
class ReverseOverForward(Derivatives):
    """Exact products, like `Autograd`, without a graph that outlives the product.

    L_train is evaluated together with its derivative along v (forward mode); the gradient of
    that number in ω is Hv, and in α it is Bv. Only what is asked for is tracked, so that a mixed
    product computes no gradients of weights.

    Cost: a loss evaluation with tangents and one backward pass through both: two to three
    gradients a product, nothing once a point. Memory: that of one gradient and its tangents, by
    construction about twice one gradient, whatever the number of products; `Autograd` keeps a
    graph of 2.3 gradients and adds to it in every product. For a few products of a large network
    take this, for many products of a small one `Autograd`.

    Threads take turns in forward mode, of which PyTorch has one for all of them.

    Jumps of the gradient (ReLU) are left out, as in `Autograd`. Leaves of ω without influence
    are not refused; their rows of H are zero.

    PyTorch cannot do this to every operation. Those that it gets wrong without a word are looked
    for in the graph of every product and refused by name (`unsupported.WRONG_OVER_FORWARD`: norms,
    determinants, solves), and what has no forward mode (softmax, F.cross_entropy, attention) is
    refused with a remedy. docs/CHECK.md has the table; `bilevel.check` looks for more.

    Raises:
        UnsupportedDerivativeError: a NotImplementedError, from a product: the loss holds an
            operation that PyTorch differentiates wrongly so, or that has no forward mode.
        ValueError: from a product: the loss draws random numbers.
    """

    def __call__(self, problem: BilevelProblem, omega: Vector, alpha: Vector) -> Curvature:
        omega, alpha = omega.detach(), alpha.detach()

        def hessian(v: Vector) -> Vector:
            at = omega.tracked()
            return _gradient(_along(problem, _dual(at, v), lambda: alpha), at)

        def mixed(v: Vector) -> Vector:
            at = alpha.tracked()
            return _gradient(_along(problem, _dual(omega, v), lambda: at), at)

        def mixed_transposed(u: Vector) -> Vector:
            at = omega.tracked()
            return _gradient(_along(problem, lambda: at, _dual(alpha, u)), at)

        return Curvature(
            hessian=LinearOperator(omega, omega, hessian, hessian),
            mixed=LinearOperator(omega, alpha, mixed, mixed_transposed),
        )


def _dual(at: Vector, direction: Vector) -> Callable[[], Vector]:
    """`at` with a tangent, to be made inside a dual level."""

    def make() -> Vector:
        pairs = zip(at.leaves, direction.leaves, strict=True)
        leaves = [
            forward_ad.make_dual(leaf, tangent.detach())  # type: ignore[no-untyped-call]
            for leaf, tangent in pairs
        ]
        return Vector(tuple(leaves), at.treespec)

    return make


@contextmanager
def _forward_mode() -> Iterator[None]:
    """The one level of forward mode, in turn with other threads.

    Raises:
        UnsupportedDerivativeError: the caller has entered it.
    """
    with ExitStack() as stack:
        stack.enter_context(_one_level)
        try:
            stack.enter_context(forward_ad.dual_level())
        except RuntimeError as error:
            raise UnsupportedDerivativeError(
                "ReverseOverForward() was asked for a product within forward mode "
                "(torch.autograd.forward_ad.dual_level, in any thread), which PyTorch cannot nest. "
                "Ask for it outside, or take Autograd()."
            ) from error
        yield


@torch.enable_grad()
def _along(
    problem: BilevelProblem,
    omega: Callable[[], Vector],
    alpha: Callable[[], Vector],
) -> Tensor | None:
    """The derivative of L_train along the tangents; None where it is zero by construction."""
    with _forward_mode(), Explaining(forward=True), none_dropped():
        at = omega()
        draws = Draws(at.device)
        value = problem.inner_value(at, alpha())
        tangent: Tensor | None
        value, tangent = forward_ad.unpack_dual(value)  # type: ignore[no-untyped-call]
    if draws.any():
        raise ValueError(f"ReverseOverForward: the inner loss draws random numbers. {REMEDY}")
    refuse_wrong(
        "ReverseOverForward()",
        [value] if tangent is None else [value, tangent],
        WRONG_OVER_FORWARD,
    )
    return tangent


def _gradient(value: Tensor | None, at: Vector) -> Vector:
    if value is None or not value.requires_grad:
        return at.zeros_like().detach()
    with Explaining(forward=True):
        leaves = torch.autograd.grad(value, at.leaves, materialize_grads=True)
    return Vector(tuple(leaves), at.treespec)
