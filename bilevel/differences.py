"""One-sided differences of gradients, and how far to believe any difference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from bilevel.derivatives import CentralDifference, Curvature, Derivatives
from bilevel.linear import LinearOperator
from bilevel.problem import BilevelProblem
from bilevel.vector import Vector


@dataclass(frozen=True)
class OneSidedDifference(Derivatives):
    """Products by differences to one side: Hv ≈ (∇_ω L_train(ω + εv) − ∇_ω L_train(ω)) / ε.

    The gradients at (ω, α) are taken once, when first needed, and serve all products, so that a
    product costs one gradient and not two. ε = step/‖v‖. The error is O(step) where L_train is
    smooth, that of `CentralDifference` O(step²); with kinks both are mostly noise at small steps.

    Args:
        step: how far to go, in units of ω.

    Raises:
        ValueError: the step is not positive and finite.
    """

    step: float

    def __post_init__(self) -> None:
        if not 0 < self.step < float("inf"):
            raise ValueError(
                f"OneSidedDifference(step={self.step}): the step must be positive and finite."
            )

    def __call__(self, problem: BilevelProblem, omega: Vector, alpha: Vector) -> Curvature:
        omega, alpha = omega.detach(), alpha.detach()

        @cache
        def in_omega() -> Vector:
            return problem.inner_gradient(omega, alpha)[1]

        @cache
        def in_alpha() -> Vector:
            return problem.inner_gradient_alpha(omega, alpha)

        def product(
            ahead: Callable[[Vector], Vector], here: Callable[[], Vector], v: Vector
        ) -> Vector:
            length = float(v.norm())
            if length == 0:
                return here().zeros_like()
            epsilon = self.step / length
            return (ahead(epsilon * v) - here()) / epsilon

        def hessian(v: Vector) -> Vector:
            return product(lambda d: problem.inner_gradient(omega + d, alpha)[1], in_omega, v)

        def mixed(v: Vector) -> Vector:
            return product(lambda d: problem.inner_gradient_alpha(omega + d, alpha), in_alpha, v)

        def mixed_transposed(u: Vector) -> Vector:
            return product(lambda d: problem.inner_gradient(omega, alpha + d)[1], in_omega, u)

        return Curvature(
            hessian=LinearOperator(omega, omega, hessian, hessian),
            mixed=LinearOperator(omega, alpha, mixed, mixed_transposed),
            exact=False,
        )


@dataclass(frozen=True)
class CheckedProduct:
    """A Hessian product by central differences and an estimate of its relative error."""

    value: Vector
    relative_error: float


def checked_product(
    problem: BilevelProblem, omega: Vector, alpha: Vector, v: Vector, step: float
) -> CheckedProduct:
    """Hv by central differences of two steps, for four gradients.

    Where L_train is smooth the error falls fourfold as the step halves, so that the gap between
    the two is three quarters of the error of the larger step, and value = (4·half − whole)/3 is
    better than both. Where kinks or rounding dominate the gap is of the size of their noise: a
    relative error near 1 says that the product is noise.

    Returns:
        The extrapolated product, and 4/3 of the gap over ‖value‖: the error of `step` itself,
        which bounds that of the value where L_train is smooth.
    """
    whole = CentralDifference(step)(problem, omega, alpha).hessian @ v
    half = CentralDifference(step / 2)(problem, omega, alpha).hessian @ v
    value = (4 * half - whole) / 3
    size = float(value.norm())
    gap = float((whole - half).norm())
    return CheckedProduct(value, 4 / 3 * gap / size if size > 0 else float(gap > 0))
