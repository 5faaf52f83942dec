"""Exact products from one retained graph of ∇_ω L_train."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from bilevel.derivatives.curvature import Curvature, Derivatives
from bilevel.linear import Action, LinearOperator
from bilevel.problem import BilevelProblem, gradient_in_omega
from bilevel.unsupported import Explaining
from bilevel.vector import Vector


@dataclass(frozen=True)
class Autograd(Derivatives):
    """Exact products, all from one retained graph of ∇_ω L_train.

    Cost: one loss evaluation and one gradient to build the graph; then about 1.4 to 2 gradients
    a product. The graph lives as long as the operators do, with about 2.3 times the memory of
    one gradient. Where L_train has kinks (ReLU), these are the derivatives of the smooth pieces:
    jumps of the gradient are left out.

    Args:
        chunk: how many products to take at once where many are wanted: by `Exact`, `Nystrom` and
            `LinearOperator.dense`. Above 1 the backward pass runs under vmap, which is faster
            for small networks, takes `chunk` times the memory of one product, and raises for
            operations that vmap does not know.

    Raises:
        ValueError: chunk < 1.
    """

    chunk: int = 1

    def __post_init__(self) -> None:
        if self.chunk < 1:
            raise ValueError(f"Autograd(chunk={self.chunk}): at least one product at a time.")

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
        mixed_transposed = _pullback(gradient_alpha, at)

        return Curvature(
            hessian=LinearOperator(omega, omega, hessian, hessian, self.chunk),
            mixed=LinearOperator(omega, alpha, mixed, mixed_transposed, self.chunk),
            gradient=gradient.detach(),
        )


def _pullback(outputs: Callable[[], tuple[Tensor, ...]], point: Vector) -> Action:
    """v ↦ ∇_point ⟨outputs, v⟩, or many of them, reusing the graph of the outputs."""

    def product(v: Vector) -> Vector:
        found = outputs()
        batched = v.leaves[0].dim() > found[0].dim()
        rows = (len(v.leaves[0]),) if batched else ()
        # an output without a graph is constant: it contributes nothing
        live = [(o, w) for o, w in zip(found, v.leaves, strict=True) if o.requires_grad]
        if not live:
            return Vector(
                tuple(leaf.new_zeros(rows + leaf.shape) for leaf in point.leaves), point.treespec
            )
        with Explaining():
            leaves = torch.autograd.grad(
                [o for o, _ in live],
                point.leaves,
                grad_outputs=[w for _, w in live],
                retain_graph=True,
                materialize_grads=True,
                is_grads_batched=batched,
            )
        if batched:  # autograd fills in a zero without the axis in front
            leaves = tuple(
                image.expand(rows + leaf.shape)
                for image, leaf in zip(leaves, point.leaves, strict=True)
            )
        return Vector(leaves, point.treespec)

    return product
