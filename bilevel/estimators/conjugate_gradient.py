"""Conjugate gradients on Hq = ∇_ω L_val, for H ≻ 0 (Hestenes & Stiefel 1952)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.linalg import vector_norm

from bilevel.arguments import check_count, check_not_negative
from bilevel.derivatives import Curvature
from bilevel.estimators.preconditioners import Precondition
from bilevel.estimators.results import Solve, Status
from bilevel.estimators.solving import (
    ResidualEstimator,
)
from bilevel.krylov.cg import Iterate, Preconditioner, Product, conjugate_gradient
from bilevel.vector import Vector


@dataclass(frozen=True)
class ConjugateGradient(ResidualEstimator):
    """Estimate g₂ by −B q, where q minimises ½qᵀHq − qᵀ∇_ω L_val over the Krylov space.

    One product an iteration, one more from a warm start, those of the preconditioner, and one to
    check the residual at the end where rounding may have spoilt its recurrence. Relative error
    after K iterations at most 2((√κ − 1)/(√κ + 1))^K in the norm of H. Memory: q and three more.

    Needs H ≻ 0. A direction with pᵀHp ≤ 0 ends the solve: NEGATIVE_CURVATURE and a
    `NotPositiveDefinite`; the value is the last iterate before it. Convergence without one, from
    q = 0 and without a preconditioner, is evidence: the residual polynomial is > 1 on negative
    eigenvalues, so that less than `tolerance` of ∇_ω L_val can lie along eigenvectors of negative
    curvature. From a `start` it is evidence of the start's residual only, and of nothing where
    that is small. Curvature that these do not see, CG cannot see: `diagnostics.spectrum_ends` can.

    Args:
        iterations: largest number of iterations.
        tolerance: relative residual of the (damped) system to stop at. None: take all iterations.
            By default 10⁻⁶ in float32 and 3.7·10⁻¹¹ in float64: min(10⁻⁶, eps^⅔).
        damping: ρ ≥ 0; solves (H + ρI)q = v instead. The estimate is then biased; `solve.residual`
            is that of the undamped system and shows by how much.
        preconditioner: `NystromPreconditioner(...)` or `DiagonalPreconditioner(...)`.

    Raises:
        ValueError: iterations is no whole number of at least 1, damping negative, or tolerance a
            number outside (0, 1).
    """

    iterations: int = 100
    tolerance: float | Literal["dtype"] | None = field(default="dtype", kw_only=True)
    damping: float = 0.0
    preconditioner: Precondition | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count(self, iterations=self.iterations)
        check_not_negative(self, damping=self.damping)

    def solve(self, curvature: Curvature, outer_gradient: Vector) -> Solve:
        system = curvature.hessian.shifted(self.damping)
        precondition, spent = (
            (None, 0) if self.preconditioner is None else self.preconditioner(system)
        )
        v, start = outer_gradient.flat(), self.starting_point(outer_gradient)
        length = float(vector_norm(v))
        tolerance = self.tolerance_in(v.dtype)
        goal = 0.0 if tolerance is None else tolerance * length
        latest, lowest, extra = self._iterate(
            system.on_flat, v, None if start is None else start.flat(), goal, precondition
        )
        products = spent + extra + latest.products
        residual = latest.residual
        if self.damping:
            residual = float(vector_norm(latest.remainder.add(latest.value, alpha=self.damping)))
        at_working_precision = latest.residual <= torch.finfo(v.dtype).eps * length
        status = Status.TRUNCATED
        if latest.indefinite:
            status = Status.NEGATIVE_CURVATURE
            self.not_positive_definite(lowest, products)
        elif latest.residual <= goal or (tolerance is None and at_working_precision):
            status = Status.CONVERGED
        elif tolerance is not None:
            self.not_converged(
                latest.residual / length,
                tolerance,
                products,
                "Raise `iterations`, add damping or a preconditioner, start from an earlier "
                f"solve.value, or ask for less; {v.dtype} reaches about cond(H) × "
                f"{torch.finfo(v.dtype).eps:.0e}.",
            )
        return Solve(
            outer_gradient.like(latest.value),
            products,
            status,
            residual=residual / length,
            curvature=lowest if lowest < math.inf else None,
        )

    def _iterate(
        self,
        product: Product,
        v: Float[Tensor, " n"],
        start: Float[Tensor, " n"] | None,
        goal: float,
        precondition: Preconditioner | None,
    ) -> tuple[Iterate, float, int]:
        """The last iterate, the lowest curvature met, and the products of abandoned runs."""
        run = conjugate_gradient(product, v, start, precondition)
        latest, left, lowest, abandoned = next(run), self.iterations, math.inf, 0
        computed = math.inf
        while True:
            if latest.residual <= goal and _may_have_drifted(latest, goal):
                # start again from here: the new first residual is computed, not recurred
                run = conjugate_gradient(product, v, latest.value, precondition)
                abandoned += latest.products
                latest = next(run)
                stuck, computed = latest.residual > 0.5 * computed, latest.residual
                if stuck:  # at the rounding floor
                    return latest, lowest, abandoned
            if latest.residual <= goal or left == 0:
                return latest, lowest, abandoned
            following = next(run, None)
            if following is None:
                return latest, lowest, abandoned
            latest, left = following, left - 1
            lowest = min(lowest, latest.lowest)
            if latest.indefinite:
                return latest, lowest, abandoned


def _may_have_drifted(latest: Iterate, goal: float) -> bool:
    """Whether rounding in k updates, about k eps ‖H‖‖q‖ (Greenbaum 1997), is not far below goal."""
    if latest.highest <= 0:  # no update yet
        return False
    eps = torch.finfo(latest.value.dtype).eps
    drift = 10 * latest.products * eps * latest.highest * float(latest.value.norm())
    return drift > 0.1 * goal
