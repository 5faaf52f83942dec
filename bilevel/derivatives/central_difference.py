"""Products by central differences of gradients (A.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bilevel.derivatives.curvature import Curvature, Derivatives
from bilevel.linear import LinearOperator
from bilevel.problem import BilevelProblem
from bilevel.randomness import REMEDY, Draws
from bilevel.reading import at_most, ratio, read
from bilevel.vector import Vector


@dataclass(frozen=True)
class CentralDifference(Derivatives):
    """Products by central differences of gradients (A.2).

    Hv ≈ (∇_ω L_train(ω + εv, α) − ∇_ω L_train(ω − εv, α)) / 2ε and
    Bq ≈ (∇_α L_train(ω + εq, α) − ∇_α L_train(ω − εq, α)) / 2ε, with ε = step/‖v‖.

    Cost: two gradients a product, in the memory of one gradient. Error O(step²) where L_train is
    smooth. Where it has kinks (ReLU, max pooling) the jumps crossed enter as noise that grows as
    the step falls; DARTS's step of 0.01 is mostly such noise early in a search.

    Args:
        step: how far to go to either side, ‖εv‖, in units of ω. By default
            min(cbrt(machine epsilon) · (1 + ‖ω‖), 0.1): the first balances truncation and
            rounding, the second is what supernets bear. There it is a compromise: with ReLU at
            the start of a search the cosine with exact products is still only about 0.4 to 0.6
            (`docs/records/t9_small.json`). With kinks give the step, or use `Autograd`.

    Raises:
        ValueError: the step is not positive; or, at a product, the loss draws random numbers.
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
            step = self.step or self._default_step(at)

            def product(v: Vector) -> Vector:
                length = read(v.norm())
                if not isinstance(length, Tensor) and length == 0:
                    return codomain.zeros_like()
                epsilon = ratio(step, length, 1.0)
                draws = Draws(at.device)
                forward, backward = gradient(at + epsilon * v), gradient(at - epsilon * v)
                if draws.any():
                    raise ValueError(
                        f"CentralDifference: the inner loss draws random numbers. {REMEDY}"
                    )
                found: Vector = (forward - backward) / (2 * epsilon)
                return found

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
            exact=False,
        )

    @staticmethod
    def _default_step(at: Vector) -> Any:
        rounding: float = torch.finfo(at.dtype).eps ** (1 / 3)
        return at_most(rounding * (1 + read(at.norm())), 0.1)
