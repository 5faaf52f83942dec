"""The Nyström estimator: a damped low-rank matrix is inverted (Hataya & Yamada 2023)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from bilevel.arguments import check_count, check_positive
from bilevel.derivatives import Curvature
from bilevel.estimators.results import Solve, Status
from bilevel.estimators.solving import ResidualEstimator
from bilevel.krylov.nystrom import nystrom
from bilevel.vector import Vector


@dataclass(frozen=True)
class Nystrom(ResidualEstimator):
    """Estimate g₂ by −B (UΛUᵀ + ρI)⁻¹ ∇_ω L_val, with UΛUᵀ ≈ H of rank r, by Woodbury.

    r products and one for the residual; memory 2 n r. ρ has units of curvature.

    Biased: what H does outside of U is taken for ρ. Eigenvalues there that are larger than 2ρ
    make the residual grow instead of shrink, and the estimate can point away from g₂; with a
    residual above the tolerance it warns `NotConverged`. (By T6 the sign is certain if
    ‖B‖‖r‖/μ < ‖Bq‖, and can be right or wrong otherwise.) A negative curvature in the sketch gives
    `NotPositiveDefinite`.

    Args:
        rank: r, the number of random directions.
        damping: ρ > 0. Close to the eigenvalues left out is best; the weight decay is a floor.
        seed: seed of the directions.

    Raises:
        ValueError: rank is no whole number of at least 1, or damping not positive and finite.
    """

    rank: int
    damping: float
    seed: int = 0
    tolerance: float | Literal["dtype"] | None = field(default=0.1, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count(self, rank=self.rank)
        check_positive(self, damping=self.damping)

    def solve(self, curvature: Curvature, outer_gradient: Vector) -> Solve:
        hessian, v = curvature.hessian, outer_gradient
        low = nystrom(hessian, self.rank, self.seed)
        shrunk = -low.eigenvalues / (low.eigenvalues + self.damping) / self.damping
        start = self.starting_point(v)
        if start is None:
            products, correction = low.products, v
        else:  # correct the start by what the approximation makes of its residual
            products, correction = low.products + 1, v - hessian @ start
        q = v.like(low.apply(shrunk, 1 / self.damping, correction.flat()))
        q, products = q if start is None else start + q, products + 1
        residual = float((v - hessian @ q).norm() / v.norm())
        status, tolerance = Status.TRUNCATED, self.tolerance_in(v.dtype)
        if tolerance is not None and residual <= tolerance:
            status = Status.CONVERGED
        if low.lowest < 0:
            status = Status.NEGATIVE_CURVATURE
            self.not_positive_definite(low.lowest, products)
        elif tolerance is not None and residual > tolerance:
            remedy = "Raise the rank, or bring damping nearer to the eigenvalues that it leaves out"
            self.not_converged(
                residual,
                tolerance,
                products,
                f"{remedy}; or use it to precondition ConjugateGradient().",
            )
        return Solve(q, products, status, residual, curvature=low.lowest)
