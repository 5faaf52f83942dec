"""Landweber's iteration: gradient descent on ½‖Hq − v‖², of which Eq. 6 is one step."""

from __future__ import annotations

from dataclasses import dataclass

from bilevel.arguments import check_count, check_positive
from bilevel.derivatives import Curvature
from bilevel.estimators.fixed_step import fixed_steps
from bilevel.estimators.results import Solve
from bilevel.estimators.solving import ResidualEstimator
from bilevel.vector import Vector


@dataclass(frozen=True)
class Landweber(ResidualEstimator):
    """Estimate g₂ by −B q_K, q ← q + ηH(∇_ω L_val − Hq).

    2K − 1 products from q = 0; two more from a warm start, one more with a tolerance. η has units
    of 1/curvature². Converges for every invertible symmetric H, indefinite ones too, if
    0 < η < 2/max λ(H)²: the relative error of q is at most max(|1 − ημ²|, |1 − ηL²|)^K, about
    2.3 κ² products a digit at η = 2/(μ² + L²), and 4.6 κ² at 1/L². By default L is a bound, above
    max |λ|, and it takes more. K = 1 from q = 0 is `Amended(eta=step)`.

    For such η the residual cannot grow. Where it does the status is DIVERGED and a
    `NotConverged` gives a bound on the step.

    Args:
        terms: K, the number of steps.
        step: η. None: 1/L², with L ≥ max |λ| bounded by ten Lanczos products, which are counted;
            `solve.note` says what was found.

    Raises:
        ValueError: terms is no whole number of at least 1, or step not positive and finite.
    """

    terms: int = 10
    step: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count(self, terms=self.terms)
        if self.step is not None:
            check_positive(self, step=self.step)

    def solve(self, curvature: Curvature, outer_gradient: Vector) -> Solve:
        return fixed_steps(
            self, curvature.hessian, outer_gradient, power=2, step=self.step, steps=self.terms
        )
