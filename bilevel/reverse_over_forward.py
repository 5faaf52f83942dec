"""Curvature products as gradients of a directional derivative: Hv = ∇_ω ⟨∇_ω L_train, v⟩."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.overrides import TorchFunctionMode

from bilevel.derivatives import Curvature, Derivatives
from bilevel.linear import LinearOperator
from bilevel.problem import BilevelProblem
from bilevel.vector import Vector


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

    Jumps of the gradient (ReLU) are left out, as in `Autograd`. Leaves of ω without influence
    are not refused; their rows of H are zero.

    PyTorch cannot do this to every operation. It says so of some (F.cross_entropy, softmax,
    logsumexp: spell them out), and of batch, instance and layer norm it gives wrong products
    without a word: they are refused here. Compare with `Autograd` once before you trust a loss
    with other rare operations.

    Raises:
        NotImplementedError: the loss holds an operation that PyTorch differentiates wrongly so,
            or that has no forward mode.
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


class _Refusing(TorchFunctionMode):
    """Operations whose forward mode takes the batch's moments for constants in reverse mode."""

    wrong = frozenset({"batch_norm", "instance_norm", "layer_norm"})

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if getattr(func, "__name__", None) in self.wrong:
            raise NotImplementedError(
                f"ReverseOverForward() met {func.__name__}, whose second derivatives PyTorch gets "
                "wrong in this order. Spell the norm out by means and squares, or use Autograd()."
            )
        return func(*args, **(kwargs or {}))


@torch.enable_grad()
def _along(
    problem: BilevelProblem,
    omega: Callable[[], Vector],
    alpha: Callable[[], Vector],
) -> Tensor | None:
    """The derivative of L_train along the tangents; None where it is zero by construction."""
    with forward_ad.dual_level(), _Refusing():
        value = problem.inner_value(omega(), alpha())
        tangent: Tensor | None
        _, tangent = forward_ad.unpack_dual(value)  # type: ignore[no-untyped-call]
    return tangent


def _gradient(value: Tensor | None, at: Vector) -> Vector:
    if value is None or not value.requires_grad:
        return at.zeros_like().detach()
    leaves = torch.autograd.grad(value, at.leaves, materialize_grads=True)
    return Vector(tuple(leaves), at.treespec)
