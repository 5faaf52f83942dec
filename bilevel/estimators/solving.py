"""The base classes of estimators that solve Hq = ∇_ω L_val: warm starts, tolerances, alerts."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import torch

from bilevel.derivatives import Curvature
from bilevel.estimators.alerts import (
    HypergradientWarning,
    NotConverged,
    NotPositiveDefinite,
    NotStationary,
    SingularHessian,
)
from bilevel.estimators.base import Estimator, ImplicitEstimator
from bilevel.estimators.results import Solve, Status
from bilevel.lost import refuse_lost_gradient
from bilevel.vector import Tree, Vector


@dataclass(frozen=True)
class SolvingEstimator(ImplicitEstimator):
    """An implicit estimator that warns when its answer should not be relied on.

    Args:
        start: the q to start from, of ω's structure, such as `solve.value` of the step before.
        strict: whether alerts (`NotPositiveDefinite`, `NotConverged`, `NotStationary`) are raised
            instead of warned.
        stationary: warn where ‖∇_ω L_train‖ > stationary · ‖∇_ω L_val‖. Checked with derivatives
            that have the gradient for free (`Autograd`), and not in an alternation (`solve`,
            `alternating_step`), where it would be so at every step. None: do not check.
    """

    start: Tree = field(default=None, kw_only=True, repr=False, compare=False)
    strict: bool = field(default=False, kw_only=True)
    stationary: float | None = field(default=0.01, kw_only=True)

    def checked_solve(self, curvature: Curvature, outer_gradient: Vector) -> Solve:
        """`solve`, where ∇_ω L_val is not 0; an alert where ω is far from stationary.

        Raises:
            NonFiniteError: squares of numbers as large as ∇_ω L_val lose digits in its dtype.
        """
        length = float(outer_gradient.norm())
        if length == 0:
            zero = outer_gradient.zeros_like()
            return Solve(zero, products=0, status=Status.CONVERGED, residual=0.0)
        refuse_lost_gradient(length, outer_gradient.numel, outer_gradient.dtype)
        if self.stationary is not None and curvature.gradient is not None:
            ratio = float(curvature.gradient.norm()) / length
            if ratio > self.stationary:
                self.alert(
                    NotStationary,
                    f"‖∇_ω L_train‖ is {ratio:.3g} times ‖∇_ω L_val‖ at this ω (limit "
                    f"{self.stationary:.3g}). g₂ = −BH⁻¹∇_ω L_val is dΦ/dα at the inner minimum "
                    "only; the error grows with the distance from it. Take more inner steps, or "
                    "raise `stationary`.",
                )
        return self.solve(curvature, outer_gradient)

    def following(
        self, optimizer: torch.optim.Optimizer, omega: Tree, *, clip: float | None = None
    ) -> Estimator:
        """This estimator without the check of stationarity, which no alternation satisfies.

        Warns `NeglectedDecay`.
        """
        super().following(optimizer, omega, clip=clip)
        return replace(self, stationary=None)

    def starting_point(self, omega: Vector) -> Vector | None:
        """`start` as a vector, checked to have the shape of ω; None for zero."""
        if self.start is None:
            return None
        start = Vector.of(self.start).detach()
        if not start.fits(omega):
            raise ValueError(
                f"start has structure {start.treespec} and {start.numel} coordinates; q has those "
                f"of ω, {omega.treespec} and {omega.numel}. Pass solve.value of an earlier step."
            )
        return start

    def alert(self, kind: type[HypergradientWarning], message: str) -> None:
        """Warn, or raise if `strict`."""
        if self.strict:
            raise kind(f"{type(self).__name__}: {message}")
        self.warn(kind, message)

    def singular(self, products: int) -> None:
        """Say that H maps to zero what has to be solved for."""
        self.alert(
            SingularHessian,
            f"H is 0 along ∇_ω L_val, as {products} products showed, so that Hq = ∇_ω L_val has "
            "no solution and g₂ is not defined at this ω. Add weight decay to the inner loss, or "
            "begin where the inner loss has curvature.",
        )

    def not_positive_definite(self, curvature: float, products: int) -> None:
        """Say that a direction of curvature ≤ 0 was met."""
        if curvature == 0:
            self.singular(products)
            return
        self.alert(
            NotPositiveDefinite,
            f"a direction with curvature pᵀHp/pᵀp = {curvature:.3g} was met after {products} "
            "products, so H is not positive definite and ω is no isolated inner minimum. Take "
            f"more inner steps, add weight decay above {abs(curvature):.3g} to the inner loss, "
            "use damping, or Minres() if a saddle is meant.",
        )


@dataclass(frozen=True)
class ResidualEstimator(SolvingEstimator):
    """A solving estimator that stops by its residual.

    Args:
        tolerance: the residual ‖v − Hq‖/‖v‖ to stop at. None: spend all steps, whatever they
            give; the estimate is then an approximation by design, and never `NotConverged`.
            "dtype": min(10⁻⁶, eps^⅔) with the eps of ω's dtype, which is 10⁻⁶ in float32 and
            3.7·10⁻¹¹ in float64.
    """

    tolerance: float | Literal["dtype"] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if self.tolerance is None or self.tolerance == "dtype":
            return
        if isinstance(self.tolerance, str) or not 0 < self.tolerance < 1:
            raise ValueError(
                f"{type(self).__name__}(tolerance={self.tolerance}): the relative residual to stop "
                'at must lie between 0 and 1. None spends all steps; "dtype" follows ω.'
            )

    def tolerance_in(self, dtype: torch.dtype) -> float | None:
        """The tolerance for a system of this dtype."""
        if self.tolerance == "dtype":
            # rounding alone leaves a residual of up to cond(H)·eps: in float64, below this for
            # condition numbers up to 10⁵
            return min(1e-6, float(torch.finfo(dtype).eps ** (2 / 3)))
        return self.tolerance

    def not_converged(self, residual: float, tolerance: float, products: int, remedy: str) -> None:
        """Say that the residual is above the tolerance."""
        self.alert(
            NotConverged,
            f"the residual ‖v − Hq‖/‖v‖ is {residual:.3g} after {products} products, above the "
            f"tolerance {tolerance:.3g}. Until it is well below 1/cond(H) the estimate can "
            f"have the wrong sign. {remedy}",
        )
