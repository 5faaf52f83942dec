"""The loop of Richardson and Landweber: q moves by a fixed step along a direction made from r."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch

from bilevel.estimators.alerts import NotConverged
from bilevel.estimators.base import Solve, Status
from bilevel.estimators.solving import ResidualEstimator
from bilevel.linear import LinearOperator
from bilevel.problem import finite_curvature
from bilevel.vector import Vector, plus


@dataclass(frozen=True)
class FixedStep(ResidualEstimator):
    """q ← q + step · d(r), r = v − Hq. With the right step ‖r‖ never grows, so growth is a proof.

    One product a step for r, besides those of d. The last step's r is left out unless a tolerance
    asks for it.
    """

    needs_definite: ClassVar[bool]

    @abstractmethod
    def direction(self, hessian: LinearOperator, residual: Vector) -> tuple[Vector, int]:
        """d(r), and the products it took."""

    @abstractmethod
    def step_limit(self, steepest: float) -> float:
        """The step that is too long for an H with ‖Hx‖ = steepest · ‖x‖ for some x."""

    def without_step(self, slope: Vector, spent: int) -> Solve:
        """What is left where H is zero for all that `spent` products showed: q = 0."""
        self.singular(spent)
        return Solve(
            slope.zeros_like(),
            spent,
            Status.NEGATIVE_CURVATURE,
            residual=1.0,
            curvature=0.0,
            note=f"no step: H is 0 as far as {spent} products showed",
        )

    def descend(
        self, hessian: LinearOperator, slope: Vector, *, step: float, steps: int, spent: int
    ) -> Solve:
        """Take `steps` steps; `spent` products went into the choice of `step`."""
        start, products = self.starting_point(slope), spent
        if start is None:
            q, r = slope.zeros_like(), slope
        else:
            q, r, products = start, slope - hessian @ start, spent + 1
        # without a tolerance, only the working precision ends it early
        tolerance = self.tolerance_in(slope.dtype)
        goal = (tolerance or torch.finfo(slope.dtype).eps) * float(slope.norm())
        first = norm = float(r.norm())
        lowest, steepest, grew, measured = math.inf, 0.0, False, True
        for remaining in range(steps, 0, -1):
            if norm <= goal:
                break
            d, extra = self.direction(hessian, r)
            q, products, measured = plus(q, step, d), products + extra, False
            if remaining == 1 and tolerance is None:
                break
            image = hessian @ d
            products += 1
            finite_curvature(float(image.norm()))
            length = max(float(d.norm()), 1e-300)
            lowest = min(lowest, float(d.dot(image)) / length / length)
            steepest = max(steepest, float(image.norm()) / length)
            before, r = norm, plus(r, -step, image)
            norm, measured = float(r.norm()), True
            grew = grew or norm > before * (1 + 1e-6)
            if not norm < 1e12 * first:  # nothing of v is left in it
                break
        status = Status.DIVERGED if grew else Status.TRUNCATED
        unseen = lowest < math.inf and steepest == 0  # H maps all that was tried to zero
        if unseen:
            status = Status.NEGATIVE_CURVATURE
            self.singular(products)
        elif self.needs_definite and lowest <= 0:
            status = Status.NEGATIVE_CURVATURE
            self.not_positive_definite(lowest, products)
        elif grew:
            self.alert(
                NotConverged,
                f"the residual grew, to {norm / first:.3g} of its first size after {products} "
                f"products: the step {step:.3g} is too long. It must be below "
                f"{self.step_limit(steepest):.3g}, perhaps far; leave it out to have it estimated.",
            )
        elif measured and norm <= goal:
            status = Status.CONVERGED
        elif tolerance is not None:
            self.not_converged(
                norm / float(slope.norm()),
                tolerance,
                products,
                "Raise `terms`, or use ConjugateGradient().",
            )
        return Solve(
            q,
            products,
            status,
            residual=norm / float(slope.norm()) if measured else None,
            curvature=None if lowest == math.inf else lowest,
        )
