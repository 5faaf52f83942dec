"""The second-order estimator of DARTS: g₁ and the slope after one unrolled step (§3.4)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from bilevel.estimators.base import ImplicitEstimator, Solve, Status
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

    Cost: with `CentralDifference`, four gradients (1 outer, 3 inner).
    The angle to g₂ is not below 90° in general, see `Identity`.

    Args:
        xi: unrolled step ξ > 0. None: the learning rate of the inner optimiser, as DARTS has it;
            `alternating_step` and `solve` fill it in.
        momentum: μ, of the inner SGD. Filled in likewise.
        weight_decay: λ, where it is not part of the inner loss already.
        velocity: SGD's momentum buffers, with the structure of ω. Filled in likewise.

    Raises:
        ValueError: ξ is not positive and finite, or unknown when the estimate is taken.
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
        """ξ, once it is known."""
        if self.xi is None:
            raise ValueError(
                "DartsSecondOrder() without xi takes the inner optimiser's learning rate, and no "
                "optimiser is here. Give xi, or use it through alternating_step or solve."
            )
        return self.xi

    def following(self, optimizer: torch.optim.Optimizer, omega: Tree) -> DartsSecondOrder:
        point = Vector.of(omega)
        settings = optimizer.param_groups[0]
        buffers = [optimizer.state[leaf].get("momentum_buffer") for leaf in point.leaves]
        known = all(buffer is not None for buffer in buffers)
        return replace(
            self,
            xi=self.xi or settings["lr"],
            momentum=settings.get("momentum", 0.0),
            weight_decay=settings.get("weight_decay", 0.0),
            velocity=Vector(tuple(buffers), point.treespec).tree() if known else None,
        )

    def outer_point(self, problem: BilevelProblem, omega: Vector, alpha: Vector) -> Vector:
        _, step = problem.inner_gradient(omega, alpha)
        if self.momentum and self.velocity is not None:
            step = step + self.momentum * Vector.of(self.velocity)
        if self.weight_decay:
            step = step + self.weight_decay * omega
        return omega - self.unrolled_step * step

    def solve(self, hessian: LinearOperator, slope: Vector) -> Solve:
        return Solve(self.unrolled_step * slope, products=0, status=Status.TRUNCATED)
