"""The first-order estimator of DARTS: the implicit term is left out (q = 0)."""

from dataclasses import dataclass
from typing import ClassVar

from bilevel.estimators.base import Estimator
from bilevel.estimators.results import Hypergradient
from bilevel.problem import BilevelProblem
from bilevel.vector import Vector


@dataclass(frozen=True)
class FirstOrder(Estimator):
    """Estimate g₂ by 0: the hypergradient is g₁ = ∇_α L_val.

    One gradient of L_val, with respect to α alone. The error is all of g₂; where L_val does not
    involve α directly, as for most hyperparameters, the estimate is zero, and one gradient of
    L_train more goes into seeing that α is used there.
    """

    has_implicit_term: ClassVar[bool] = False

    def estimate(self, problem: BilevelProblem, omega: Vector, alpha: Vector) -> Hypergradient:
        outer_loss, direct = problem.outer_gradient_alpha(omega, alpha)
        return Hypergradient(direct.tree(), direct.zeros_like().tree(), outer_loss)
