"""How H = ∇²_ωω L_train and B = ∇²_αω L_train are taken: exactly, or by differences (A.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import torch
from torch import Tensor

from bilevel.linear import LinearOperator
from bilevel.problem import BilevelProblem, gradient_in_omega
from bilevel.vector import Vector


@dataclass(frozen=True)
class Curvature:
    """The second derivatives of L_train at one point.

    Attributes:
        hessian: H: Ω → Ω, symmetric.
        mixed: B: Ω → A; row i of its matrix is ∂/∂αᵢ of ∇_ω L_train.
    """

    hessian: LinearOperator
    mixed: LinearOperator


class Derivatives(Protocol):
    """A way to take the curvature of an inner loss at a point."""

    def __call__(self, problem: BilevelProblem, omega: Vector, alpha: Vector) -> Curvature: ...


@dataclass(frozen=True)
class Autograd:
    """Exact products, all from one retained graph of ∇_ω L_train.

    Cost: one loss evaluation and one gradient to build the graph; then about 1.4 to 2 gradients
    a product. The graph lives as long as the operators do, with about 2.3 times the memory of
    one gradient. Where L_train has kinks (ReLU), these are the derivatives of the smooth pieces:
    jumps of the gradient are left out.
    """

    @torch.enable_grad()
    def __call__(self, problem: BilevelProblem, omega: Vector, alpha: Vector) -> Curvature:
        at, hyper = omega.tracked(), alpha.tracked()
        value = problem.inner_value(at, hyper)
        gradient = gradient_in_omega(value, at, create_graph=True)

        @cache
        def gradient_alpha() -> tuple[Tensor, ...]:  # only transposed products need it
            with torch.enable_grad():
                return torch.autograd.grad(
                    value, hyper.leaves, create_graph=True, materialize_grads=True
                )

        hessian = _pullback(lambda: gradient.leaves, at)
        mixed = _pullback(lambda: gradient.leaves, hyper)
        return Curvature(
            hessian=LinearOperator(omega, omega, hessian, hessian),
            mixed=LinearOperator(omega, alpha, mixed, _pullback(gradient_alpha, at)),
        )


def _pullback(
    outputs: Callable[[], tuple[Tensor, ...]], point: Vector
) -> Callable[[Vector], Vector]:
    """v ↦ ∇_point ⟨outputs, v⟩, reusing the graph of `outputs`."""

    def product(v: Vector) -> Vector:
        # an output without a graph is constant: it contributes nothing
        live = [(o, w) for o, w in zip(outputs(), v.leaves, strict=True) if o.requires_grad]
        if not live:
            return point.zeros_like().detach()
        leaves = torch.autograd.grad(
            [o for o, _ in live],
            point.leaves,
            grad_outputs=[w for _, w in live],
            retain_graph=True,
            materialize_grads=True,
        )
        return Vector(leaves, point.treespec)

    return product


@dataclass(frozen=True)
class CentralDifference:
    """Products by central differences of gradients (A.2).

    Hv ≈ (∇_ω L_train(ω + εv, α) − ∇_ω L_train(ω − εv, α)) / 2ε and
    Bq ≈ (∇_α L_train(ω + εq, α) − ∇_α L_train(ω − εq, α)) / 2ε, with ε = step/‖v‖.

    Cost: two gradients a product, in the memory of one gradient. Error O(step²) where L_train is
    smooth. Where it has kinks (ReLU, max pooling) the jumps crossed enter as noise that grows as
    the step falls; DARTS's step of 0.01 is mostly such noise early in a search.

    Args:
        step: how far to go to either side, ‖εv‖, in units of ω. By default
            cbrt(machine epsilon) · (1 + ‖ω‖), which balances truncation and rounding.

    Raises:
        ValueError: the step is not positive.
    """

    step: float | None = None

    def __post_init__(self) -> None:
        if self.step is not None and not 0 < self.step < float("inf"):
            raise ValueError(
                f"CentralDifference(step={self.step}): the step must be positive and finite. "
                "Leave it out for the default, which follows dtype and ‖ω‖."
            )

    def __call__(self, problem: BilevelProblem, omega: Vector, alpha: Vector) -> Curvature:
        omega, alpha = omega.detach(), alpha.detach()

        def difference(
            gradient: Callable[[Vector], Vector], at: Vector, codomain: Vector
        ) -> Callable[[Vector], Vector]:
            step = self.step or torch.finfo(at.dtype).eps ** (1 / 3) * (1 + float(at.norm()))

            def product(v: Vector) -> Vector:
                length = float(v.norm())
                if length == 0:
                    return codomain.zeros_like()
                epsilon = step / length
                ahead, behind = gradient(at + epsilon * v), gradient(at - epsilon * v)
                return (ahead - behind) / (2 * epsilon)

            return product

        def gradient_omega(omega: Vector, alpha: Vector) -> Vector:
            return problem.inner_gradient(omega, alpha)[1]

        def gradient_alpha(w: Vector) -> Vector:
            return problem.inner_gradient_alpha(w, alpha)

        hessian = difference(lambda w: gradient_omega(w, alpha), omega, omega)
        mixed = difference(gradient_alpha, omega, alpha)
        mixed_transposed = difference(lambda a: gradient_omega(omega, a), alpha, omega)
        return Curvature(
            hessian=LinearOperator(omega, omega, hessian, hessian),
            mixed=LinearOperator(omega, alpha, mixed, mixed_transposed),
        )
