"""The penalty method: a hypergradient from first derivatives only (Kwon et al. 2023, F²SA)."""

from __future__ import annotations

from dataclasses import dataclass

from bilevel.arguments import check_count, check_positive
from bilevel.estimators.base import Estimator
from bilevel.estimators.results import Hypergradient
from bilevel.problem import BilevelProblem
from bilevel.vector import Vector, plus


@dataclass(frozen=True)
class Penalty(Estimator):
    """Estimate g by ∇_α L_val(y) + λ(∇_α L_train(y) − ∇_α L_train(z)).

    y follows L_train + L_val/λ and z follows L_train, by T gradient steps each from ω. At their
    minima λ(y − z) = −H⁻¹∇_ω L_val + O(1/λ): no second derivatives, and a bias of O(1/λ) besides
    that of T steps. Where the losses are quadratic and L_val linear, T steps are
    `Neumann(terms=T−1, step=lr)` whatever λ is. Moving z too keeps an ω off the minimum from being
    taken for a pull by L_val.

    3T + 3 gradients (T + 1 outer). λ has no units if both losses share theirs. The difference
    loses λ · eps of relative precision: in float32 keep λ below 10⁴.

    Args:
        strength: λ.
        steps: T.
        lr: step length, below 2/λ_max(H); about T = κ steps are needed.

    Raises:
        ValueError: steps is no whole number of at least 1, or another argument not positive and
            finite.
    """

    strength: float
    steps: int
    lr: float

    def __post_init__(self) -> None:
        check_count(self, steps=self.steps)
        check_positive(self, strength=self.strength, lr=self.lr)

    def estimate(self, problem: BilevelProblem, omega: Vector, alpha: Vector) -> Hypergradient:
        pulled, free = omega, omega
        for _ in range(self.steps):
            _, pull, _ = problem.outer_gradients(pulled, alpha)
            _, descent = problem.inner_gradient(pulled, alpha)
            pulled = plus(pulled, -self.lr, plus(descent, 1 / self.strength, pull))
            free = plus(free, -self.lr, problem.inner_gradient(free, alpha)[1])
        outer_loss, direct = problem.outer_gradient_alpha(pulled, alpha)
        there, here = (problem.inner_gradient_alpha(w, alpha) for w in (pulled, free))
        return Hypergradient(direct.tree(), (self.strength * (there - here)).tree(), outer_loss)
