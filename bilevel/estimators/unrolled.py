"""Unrolled differentiation: the derivative of L_val after T steps of the inner optimiser."""

from __future__ import annotations

from dataclasses import dataclass, field

from bilevel.derivatives import Autograd, Derivatives
from bilevel.estimators.base import Estimator, Hypergradient
from bilevel.estimators.solving import check_not_negative, check_positive
from bilevel.problem import BilevelProblem
from bilevel.vector import Vector, plus


@dataclass(frozen=True)
class Unrolled(Estimator):
    """Compute d/dα L_val(ω_T(α), α), where ω_T is T steps of SGD with momentum on from ω.

    u ← βu + ∇_ω L_train(ω), ω ← ω − γu, with u = 0 at first. Differentiated in reverse:
    with λ = ∇_ω L_val(ω_T), ν = 0, for t = T ... 1: ν ← ν − γλ, g ← g + B_t ν, λ ← λ + H_t ν,
    ν ← βν. Exact for the T steps taken, hence for dΦ/dα only as T → ∞; ω is where they start.

    T gradients forward; in reverse a graph and two products a step. Memory: the T points (2T with
    momentum) and one graph. T = 1 is `DartsSecondOrder(xi=lr)`. At the inner minimum and β = 0,
    T steps are `Neumann(terms=T−1, step=lr)`.

    Args:
        steps: T.
        lr: γ, the learning rate.
        momentum: β.
        last: differentiate through the last so many steps only (truncated back-propagation,
            Shaban et al. 2019): memory for `last` points, a bias of (1 − γμ)^last. None: all.
        derivatives: how H and B products are taken, `Autograd()` or `CentralDifference()`.

    Raises:
        ValueError: steps, lr or last is not positive and finite, momentum is negative, or last
            exceeds steps.
    """

    steps: int
    lr: float
    momentum: float = 0.0
    last: int | None = None
    derivatives: Derivatives = field(default=Autograd(), kw_only=True)

    def __post_init__(self) -> None:
        check_positive(self, steps=self.steps, lr=self.lr)
        check_not_negative(self, momentum=self.momentum)
        if self.last is not None and not 0 < self.last <= self.steps:
            raise ValueError(
                f"Unrolled(steps={self.steps}, last={self.last}): differentiate through at least "
                "one step and at most all."
            )

    def estimate(self, problem: BilevelProblem, omega: Vector, alpha: Vector) -> Hypergradient:
        kept = self.steps if self.last is None else self.last
        visited: list[Vector] = []
        velocity = omega.zeros_like()
        for number in range(self.steps):
            if number >= self.steps - kept:
                visited.append(omega)
            _, gradient = problem.inner_gradient(omega, alpha)
            velocity = plus(gradient, self.momentum, velocity)
            omega = plus(omega, -self.lr, velocity)
        outer_loss, adjoint, direct = problem.outer_gradients(omega, alpha)
        implicit, pushed = alpha.zeros_like(), omega.zeros_like()
        while visited:
            curvature = self.derivatives(problem, visited.pop(), alpha)
            pushed = plus(pushed, -self.lr, adjoint)
            implicit = implicit + curvature.mixed @ pushed
            if visited:  # the step's own point is not differentiated: it does not depend on α
                adjoint = adjoint + curvature.hessian @ pushed
                pushed = self.momentum * pushed
        return Hypergradient(direct.tree(), implicit.tree(), outer_loss)
