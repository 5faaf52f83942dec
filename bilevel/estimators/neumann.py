"""The Neumann series for the inverse Hessian: K Richardson steps (Lorraine et al. 2020)."""

from __future__ import annotations

from dataclasses import dataclass

from bilevel.arguments import check_count, check_positive
from bilevel.derivatives import Curvature
from bilevel.estimators.fixed_step import fixed_steps
from bilevel.estimators.results import Solve
from bilevel.estimators.solving import ResidualEstimator
from bilevel.vector import Vector


@dataclass(frozen=True)
class Neumann(ResidualEstimator):
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
        ValueError: terms is no whole number or negative, or the step not positive and finite.
    """

    terms: int = 10
    step: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count(self, least=0, terms=self.terms)
        if self.step is not None:
            check_positive(self, step=self.step)

    def solve(self, curvature: Curvature, outer_gradient: Vector) -> Solve:
        return fixed_steps(
            self,
            curvature.hessian,
            outer_gradient,
            power=1,
            step=self.step,
            steps=self.terms + 1,
        )
