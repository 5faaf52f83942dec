"""The second-order estimator of DARTS: g₁ and the slope after one unrolled step (§3.4)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from bilevel.derivatives import Curvature
from bilevel.estimators.base import Hypergradient, ImplicitEstimator, Solve, Status
from bilevel.estimators.sgd_step import LeafStep, SgdStep
from bilevel.linear import LinearOperator
from bilevel.problem import BilevelProblem
from bilevel.vector import Tree, Vector


@dataclass(frozen=True)
class DartsSecondOrder(ImplicitEstimator):
    """Estimate dΦ/dα by ∇_α L_val(ω′, α) − ξ · ∇²_αω L_train(ω, α) · ∇_ω′ L_val(ω′, α).

    ω′ = ω − ξ (μ·velocity + ∇_ω L_train + λω) is one SGD step ahead. This is the exact
    derivative of L_val(ω′(α), α), not an approximation of g₂: with respect to Hq = ∇_ω L_val
    it is one Richardson step. Liu et al. 2019, Eq. 7; DARTS takes the mixed product by
    differences: `derivatives=CentralDifference(step=0.01)`.

    Without ξ, `alternating_step` and `solve` take for ω′ the very step of their inner optimiser:
    SGD with its parameter groups, momentum buffers, Nesterov's form, dampening, weight decay and
    clipping (hooks aside); with several inner steps the first of them. Other optimisers are
    refused, and so is another step put in the place of SGD's own.

    Cost: with `CentralDifference`, four gradients (1 outer, 3 inner).
    The angle to g₂ is not below 90° in general, see `Identity`.

    Args:
        xi: unrolled step ξ > 0, for a step as written above, whatever the inner optimiser does.
            None: the inner optimiser's step.
        momentum: μ, used with xi.
        weight_decay: λ, where it is not part of the inner loss already; used with xi.
        velocity: SGD's momentum buffers, with the structure of ω; used with xi.

    Raises:
        ValueError: ξ is not positive and finite, or unknown when the estimate is taken; or the
            inner optimiser is not SGD.
    """

    xi: float | None = None
    momentum: float = 0.0
    weight_decay: float = 0.0
    velocity: Tree = None

    def __post_init__(self) -> None:
        # a rate that lies on a device is not read for a check
        if isinstance(self.xi, int | float) and not 0 < self.xi < float("inf"):
            raise ValueError(
                f"DartsSecondOrder(xi={self.xi}): xi must be positive and finite. "
                "For xi = 0, the first-order estimate, use FirstOrder()."
            )
        if self.momentum < 0 or self.weight_decay < 0:
            raise ValueError(
                f"DartsSecondOrder(momentum={self.momentum}, weight_decay={self.weight_decay}): "
                "neither may be negative."
            )

    @property
    def unrolled_step(self) -> float:
        """ξ, where it is given."""
        if self.xi is None:
            raise ValueError(
                "DartsSecondOrder() without xi takes the inner optimiser's step, and no "
                "optimiser is here. Give xi, or use it through alternating_step or solve."
            )
        return self.xi

    def following(
        self, optimizer: torch.optim.Optimizer, omega: Tree, *, clip: float | None = None
    ) -> ImplicitEstimator:
        if self.xi is not None:
            return self
        step = SgdStep.of(optimizer, omega, clip)
        return StepAhead(step=step, derivatives=self.derivatives)

    def estimate(self, problem: BilevelProblem, omega: Vector, alpha: Vector) -> Hypergradient:
        buffers = (
            (None,) * len(omega.leaves)
            if self.velocity is None
            else Vector.of(self.velocity).leaves
        )
        leaves = [
            LeafStep(self.unrolled_step, self.momentum, 0.0, self.weight_decay, buffer=buffer)
            for buffer in buffers
        ]
        ahead = StepAhead(step=SgdStep(tuple(leaves)), derivatives=self.derivatives)
        return ahead.estimate(problem, omega, alpha)

    def solve(self, hessian: LinearOperator, slope: Vector) -> Solve:
        return Solve(self.unrolled_step * slope, products=0, status=Status.TRUNCATED)


@dataclass(frozen=True)
class StepAhead(ImplicitEstimator):
    """d/dα L_val(ω′(α), α) for ω′ one given step of SGD from ω; see `DartsSecondOrder`.

    Args:
        step: the step.
    """

    step: SgdStep

    def estimate(self, problem: BilevelProblem, omega: Vector, alpha: Vector) -> Hypergradient:
        _, gradient = problem.inner_gradient(omega, alpha)

        def solve(curvature: Curvature, slope: Vector) -> Solve:
            q = self.step.pulled_back(slope, gradient)
            return Solve(q, products=0, status=Status.TRUNCATED)

        return self.estimate_at(
            problem, omega, alpha, outer_point=self.step.ahead(omega, gradient), solve=solve
        )

    def solve(self, hessian: LinearOperator, slope: Vector) -> Solve:
        raise TypeError(
            "StepAhead cannot be asked for q alone: a clipped step depends on the gradient. Call "
            "it on a problem."
        )
