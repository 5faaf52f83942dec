"""The second-order estimator of DARTS: both gradients of L_val after one unrolled step (§3.4)."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from bilevel.arguments import check_not_negative
from bilevel.derivatives import Autograd, Derivatives
from bilevel.estimators.base import Estimator, with_q
from bilevel.estimators.results import Hypergradient, Solve, Status
from bilevel.estimators.sgd_step import LeafStep, SgdStep
from bilevel.problem import BilevelProblem
from bilevel.vector import Tree, Vector


@dataclass(frozen=True)
class DartsSecondOrder(Estimator):
    """Estimate dΦ/dα by ∇_α L_val(ω′, α) − ξ · ∇²_αω L_train(ω, α) · ∇_ω′ L_val(ω′, α).

    ω′ = ω − ξ (β·velocity + ∇_ω L_train + λω) is one step of SGD from ω. This is the exact
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
        momentum: β, used with xi.
        weight_decay: λ, where it is not part of the inner loss already; used with xi.
        velocity: SGD's momentum buffers, with the structure of ω; used with xi.
        derivatives: how the product with B is taken, `Autograd()` or `CentralDifference()`.

    Raises:
        ValueError: ξ is not positive and finite, or unknown when the estimate is taken; or the
            inner optimiser is not SGD, or the velocity has another structure than ω.
    """

    derivatives: Derivatives = field(default=Autograd(), kw_only=True)
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
        check_not_negative(self, momentum=self.momentum, weight_decay=self.weight_decay)

    def following(
        self, optimizer: torch.optim.Optimizer, omega: Tree, *, clip: float | None = None
    ) -> Estimator:
        """The estimator that takes the optimiser's own step, unless ξ is given."""
        if self.xi is not None:
            return self
        return UnrolledStep(SgdStep.of(optimizer, omega, clip), derivatives=self.derivatives)

    def estimate(self, problem: BilevelProblem, omega: Vector, alpha: Vector) -> Hypergradient:
        if self.xi is None:
            raise ValueError(
                "DartsSecondOrder() without xi takes the inner optimiser's step, and no "
                "optimiser is here. Give xi, or use it through alternating_step or solve."
            )
        leaves = [
            LeafStep(self.xi, self.momentum, 0.0, self.weight_decay, buffer=buffer)
            for buffer in self._buffers(omega)
        ]
        step = UnrolledStep(SgdStep(tuple(leaves)), derivatives=self.derivatives)
        return step.estimate(problem, omega, alpha)

    def _buffers(self, omega: Vector) -> tuple[Tensor | None, ...]:
        """The momentum buffer of each leaf of ω."""
        if self.velocity is None:
            return (None,) * len(omega.leaves)
        velocity = Vector.of(self.velocity)
        if not velocity.fits(omega):
            raise ValueError(
                f"DartsSecondOrder(velocity=...) has {velocity.shapes()}, and ω has "
                f"{omega.shapes()}. Give a buffer for each leaf, in ω's structure."
            )
        return velocity.leaves


@dataclass(frozen=True)
class UnrolledStep(Estimator):
    """d/dα L_val(ω′(α), α) for ω′ one given step of SGD from ω; see `DartsSecondOrder`.

    Args:
        step: the step.
        derivatives: how the product with B is taken.
    """

    derivatives: Derivatives = field(default=Autograd(), kw_only=True)
    step: SgdStep

    def estimate(self, problem: BilevelProblem, omega: Vector, alpha: Vector) -> Hypergradient:
        _, gradient = problem.inner_gradient(omega, alpha)
        unrolled = self.step.from_point(omega, gradient)
        outer_loss, outer_gradient, direct = problem.outer_gradients(unrolled, alpha)
        q = self.step.pulled_back(outer_gradient, gradient)
        curvature = self.derivatives(problem, omega, alpha)
        found = Solve(q, products=0, status=Status.TRUNCATED)
        return with_q(found, curvature, outer_gradient, direct, outer_loss)
