"""Richardson's and Landweber's iterations: q moves by a fixed step along r or Hr."""

from __future__ import annotations

import math
from dataclasses import replace

import torch

from bilevel.estimators.alerts import NotConverged
from bilevel.estimators.results import Solve, Status
from bilevel.estimators.solving import ResidualEstimator
from bilevel.krylov.lanczos import largest_curvature
from bilevel.linear import LinearOperator
from bilevel.lost import refuse_lost
from bilevel.problem import finite_curvature, squared_curvature
from bilevel.vector import Vector, plus


def fixed_steps(
    asked: ResidualEstimator,
    hessian: LinearOperator,
    v: Vector,
    *,
    power: int,
    step: float | None,
    steps: int,
) -> Solve:
    """q ← q + step · H^(power − 1) r with r = v − Hq: Richardson for power 1, Landweber for 2.

    With a step below 2/L^power, and H ⪰ 0 for power 1, ‖r‖ never grows, so growth is a proof that
    the step is too long.

    `power` products a step. The last step's r is left out unless a tolerance asks for it.

    Args:
        asked: the estimator, which has the tolerance and the start, and gives the alerts.
        step: None: 1/L^power, with L ≥ max |λ| bounded by ten Lanczos products.
    """
    if step is not None:
        return _iterate(asked, hessian, v, power, step, steps, spent=0)
    largest, spent = largest_curvature(hessian, 10, seed=0)
    if largest == 0:
        asked.singular(spent)
        return Solve(
            v.zeros_like(),
            spent,
            Status.NEGATIVE_CURVATURE,
            residual=1.0,
            curvature=0.0,
            note=f"no step: H is 0 as far as {spent} products showed",
        )
    step = 1 / _raised(largest, power)
    refuse_lost(step * float(v.norm()), "the first step of q", v.dtype)
    found = _iterate(asked, hessian, v, power, step, steps, spent)
    how = f"1/L{'²' if power == 2 else ''} with L ≤ {largest:.4g}, estimated by {spent} products"
    return replace(found, note=f"step {step:.4g} = {how}")


def _iterate(
    asked: ResidualEstimator,
    hessian: LinearOperator,
    v: Vector,
    power: int,
    step: float,
    steps: int,
    spent: int,
) -> Solve:
    """The iteration itself; `spent` products went into the choice of `step`."""
    start, products = asked.starting_point(v), spent
    if start is None:
        q, r = v.zeros_like(), v
    else:
        q, r, products = start, v - hessian @ start, spent + 1
    # without a tolerance, only the working precision ends it early
    tolerance = asked.tolerance_in(v.dtype)
    goal = (tolerance or torch.finfo(v.dtype).eps) * float(v.norm())
    first = norm = float(r.norm())
    lowest, steepest, grew, measured = math.inf, 0.0, False, True
    for remaining in range(steps, 0, -1):
        if norm <= goal:
            break
        d = r if power == 1 else hessian @ r
        q, products, measured = plus(q, step, d), products + power - 1, False
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
    if lowest < math.inf and steepest == 0:  # H maps all that was tried to zero
        status = Status.NEGATIVE_CURVATURE
        asked.singular(products)
    elif power == 1 and lowest <= 0:
        status = Status.NEGATIVE_CURVATURE
        asked.not_positive_definite(lowest, products)
    elif grew:
        asked.alert(
            NotConverged,
            f"the residual grew, to {norm / first:.3g} of its first size after {products} "
            f"products: the step {step:.3g} is too long. It must be below "
            f"{2 / _raised(steepest, power):.3g}, perhaps far; leave it out to have it estimated.",
        )
    elif measured and norm <= goal:
        status = Status.CONVERGED
    elif tolerance is not None:
        asked.not_converged(
            norm / float(v.norm()),
            tolerance,
            products,
            "Raise `terms`, or use ConjugateGradient().",
        )
    return Solve(
        q,
        products,
        status,
        residual=norm / float(v.norm()) if measured else None,
        curvature=None if lowest == math.inf else lowest,
    )


def _raised(curvature: float, power: int) -> float:
    return curvature if power == 1 else squared_curvature(curvature)
