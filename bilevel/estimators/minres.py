"""MINRES on Hq = ∇_ω L_val, for any invertible symmetric H (Paige & Saunders 1975)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import torch

from bilevel.arguments import check_count, check_not_negative
from bilevel.derivatives import Curvature
from bilevel.estimators.results import Solve, Status
from bilevel.estimators.solving import (
    ResidualEstimator,
)
from bilevel.krylov.minres import minres
from bilevel.vector import Vector


@dataclass(frozen=True)
class Minres(ResidualEstimator):
    """Estimate g₂ by −B q, where q minimises ‖∇_ω L_val − Hq‖ over the Krylov space.

    One product an iteration and one at the end, which computes the residual afresh. Its residual
    never grows and is never above that of `ConjugateGradient`; for an indefinite H the factor
    an iteration is governed by κ where CG's is by √κ. Memory: q and six more.

    An indefinite H is no alarm here: −BH⁻¹∇_ω L_val is then the derivative along a branch of
    saddle points. `solve.curvature` is the smallest Ritz value; a negative one shows it.

    Args:
        iterations: largest number of iterations.
        tolerance: relative residual of the (damped) system to stop at. None: take all iterations.
            By default 10⁻⁶ in float32 and 3.7·10⁻¹¹ in float64: min(10⁻⁶, eps^⅔).
        damping: ρ ≥ 0; solves (H + ρI)q = v instead, which for an indefinite H can be singular.

    Raises:
        ValueError: iterations is no whole number of at least 1, damping negative, or tolerance a
            number outside (0, 1).
    """

    iterations: int = 100
    tolerance: float | Literal["dtype"] | None = field(default="dtype", kw_only=True)
    damping: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count(self, iterations=self.iterations)
        check_not_negative(self, damping=self.damping)

    def solve(self, curvature: Curvature, outer_gradient: Vector) -> Solve:
        system = curvature.hessian.shifted(self.damping)
        length = float(outer_gradient.norm())
        tolerance = self.tolerance_in(outer_gradient.dtype)
        goal = 0.0 if tolerance is None else tolerance * length
        start, v = self.starting_point(outer_gradient), outer_gradient.flat()
        q = None if start is None else start.flat()
        left, products, lowest = self.iterations, 0, None
        residual = math.inf
        while True:  # again from where it stopped, while the true residual is above the goal
            run = minres(system.on_flat, v, q)
            latest = next(run)
            while latest.residual > goal and left > 0 and (following := next(run, None)):
                latest, left = following, left - 1
            products += latest.products
            if latest.sketch is not None:
                ritz = float(latest.sketch.ritz_values()[0]) - self.damping
                lowest = ritz if lowest is None else min(lowest, ritz)
            gained = latest.value is not q
            q = latest.value
            remainder = v - system.on_flat(q)
            products += 1
            before, residual = residual, float(remainder.norm())
            stuck = not gained or residual > 0.5 * before  # at the rounding floor
            if residual <= goal or left == 0 or stuck or tolerance is None:
                break
        at_working_precision = residual <= 10 * torch.finfo(v.dtype).eps * length
        status = Status.TRUNCATED
        if residual <= goal or (tolerance is None and at_working_precision):
            status = Status.CONVERGED
        elif lowest is None and left > 0:  # the first product was 0
            status = Status.NEGATIVE_CURVATURE
            self.singular(products)
        elif tolerance is not None:
            self.not_converged(
                residual / length,
                tolerance,
                products,
                "Raise `iterations`, add damping, start from an earlier solve.value, or ask for "
                f"less; {v.dtype} reaches about cond(H) × {torch.finfo(v.dtype).eps:.0e}.",
            )
        if self.damping:
            residual = float(remainder.add(q, alpha=self.damping).norm())
        return Solve(outer_gradient.like(q), products, status, residual / length, lowest)
