"""The Neumann series for the inverse Hessian: K Richardson steps (Lorraine et al. 2020)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from bilevel.estimators.base import Solve
from bilevel.estimators.fixed_step import FixedStep
from bilevel.estimators.solving import check_not_negative, check_positive
from bilevel.krylov.lanczos import largest_curvature
from bilevel.linear import LinearOperator
from bilevel.vector import Vector


@dataclass(frozen=True)
class Neumann(FixedStep):
    """Estimate g₂ by −B q, q = γ Σ_{j≤K} (I − γH)ʲ ∇_ω L_val.

    K products; one more with a tolerance, one more from a warm start. γ has units of 1/curvature.
    Converges for H ≻ 0 and 0 < γ < 2/λ_max(H): the relative error of q is then at most
    max(|1 − γμ|, |1 − γL|)^(K+1), about 1.2 κ products a digit at γ = 2/(μ + L). K = 0 is
    `Identity(eta=step)`.

    For such γ and H ⪰ 0 the residual cannot grow. Where it does the status is DIVERGED and a
    `NotConverged` gives a bound on the step; where a residual has curvature ≤ 0 it is
    NEGATIVE_CURVATURE, with `NotPositiveDefinite`.

    Args:
        terms: K, the power at which the series ends.
        step: γ. None: 1/L, with L bounded by ten Lanczos products, which are counted;
            `solve.note` says what was found.

    Raises:
        ValueError: terms is negative, or the step not positive and finite.
    """

    terms: int = 10
    step: float | None = None
    needs_definite: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_not_negative(self, terms=self.terms)
        if self.step is not None:
            check_positive(self, step=self.step)

    def direction(self, hessian: LinearOperator, residual: Vector) -> tuple[Vector, int]:
        return residual, 0

    def step_limit(self, steepest: float) -> float:
        return 2 / steepest

    def solve(self, hessian: LinearOperator, slope: Vector) -> Solve:
        if self.step is not None:
            return self.descend(hessian, slope, step=self.step, steps=self.terms + 1, spent=0)
        largest, spent = largest_curvature(hessian, 10, seed=0)
        if largest == 0:
            return self.without_step(slope, spent)
        found = self.descend(hessian, slope, step=1 / largest, steps=self.terms + 1, spent=spent)
        note = f"step {1 / largest:.4g} = 1/L with L ≤ {largest:.4g}, estimated by {spent} products"
        return replace(found, note=note)
