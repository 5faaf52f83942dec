"""Landweber's iteration: gradient descent on ½‖Hq − v‖², of which Eq. 6 is one step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from bilevel.estimators.base import Solve
from bilevel.estimators.fixed_step import FixedStep
from bilevel.estimators.solving import check_positive
from bilevel.krylov.lanczos import largest_curvature
from bilevel.linear import LinearOperator
from bilevel.problem import squared_curvature
from bilevel.vector import Vector


@dataclass(frozen=True)
class Landweber(FixedStep):
    """Estimate g₂ by −B q_K, q ← q + ηH(∇_ω L_val − Hq).

    2K − 1 products from q = 0; two more from a warm start, one more with a tolerance. η has units
    of 1/curvature². Converges for every invertible symmetric H, indefinite ones too, if
    0 < η < 2/max λ(H)²: the relative error of q is at most max(|1 − ημ²|, |1 − ηL²|)^K, about
    2.3 κ² products a digit. K = 1 from q = 0 is `Amended(eta=step)`.

    For such η the residual cannot grow. Where it does the status is DIVERGED and a
    `NotConverged` gives a bound on the step.

    Args:
        terms: K, the number of steps.
        step: η. None: 1/L², with L ≥ max |λ| bounded by ten Lanczos products, which are counted;
            `solve.note` says what was found.

    Raises:
        ValueError: terms or step is not positive and finite.
    """

    terms: int = 10
    step: float | None = None
    needs_definite: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, terms=self.terms)
        if self.step is not None:
            check_positive(self, step=self.step)

    def direction(self, hessian: LinearOperator, residual: Vector) -> tuple[Vector, int]:
        return hessian @ residual, 1

    def step_limit(self, steepest: float) -> float:
        return 2 / squared_curvature(steepest)

    def solve(self, hessian: LinearOperator, slope: Vector) -> Solve:
        if self.step is not None:
            return self.descend(hessian, slope, step=self.step, steps=self.terms, spent=0)
        largest, spent = largest_curvature(hessian, 10, seed=0)
        if largest == 0:
            return self.without_step(slope, spent)
        step = 1 / squared_curvature(largest)
        found = self.descend(hessian, slope, step=step, steps=self.terms, spent=spent)
        note = f"step {step:.4g} = 1/L² with L ≤ {largest:.4g}, estimated by {spent} products"
        return replace(found, note=note)
