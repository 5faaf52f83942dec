"""The inner minimum ω*(α), to rounding: L-BFGS until it slows down, then Newton's method."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.sparse.linalg import minres

from bilevel.derivatives import Autograd
from bilevel.problem import BilevelProblem
from bilevel.vector import Tree, Vector

NEWTON_STEPS = 30
HALVINGS = 20


@dataclass(frozen=True)
class InnerSolution:
    """Where the inner minimisation ended.

    Attributes:
        params: ω, in the caller's structure.
        loss: L_train there.
        gradient_norm: ‖∇_ω L_train‖ there.
    """

    params: Tree
    loss: float
    gradient_norm: float


def solve_inner(
    problem: BilevelProblem,
    params: Tree,
    hyperparams: Tree,
    *,
    tolerance: float = 1e-12,
    iterations: int = 5000,
) -> InnerSolution:
    """Minimise L_train(·, α) from `params` until ‖∇_ω L_train‖ ≤ tolerance.

    SciPy's L-BFGS comes near, and Newton steps with MINRES give the last digits: near a minimum
    each of them squares the error. A Newton step that does not shorten the gradient is halved. The
    result is a stationary point, and not always a minimum; see `diagnostics.spectrum_ends`.

    Args:
        tolerance: float64 reaches about 1e-15 where losses are of order one, float32 1e-6.
        iterations: largest number of L-BFGS's iterations.

    Raises:
        ValueError: the tolerance is not reached; the message has the norm that was.
    """
    point, alpha = Vector.of(params).detach(), Vector.of(hyperparams).detach()

    def value_and_gradient(array: np.ndarray) -> tuple[float, np.ndarray]:
        loss, gradient = problem.inner_gradient(_at(point, array), alpha)
        return loss, gradient.flat().double().cpu().numpy()

    found = minimize(
        value_and_gradient,
        point.flat().double().cpu().numpy(),
        jac=True,
        method="L-BFGS-B",
        options={
            "maxiter": iterations,
            "maxfun": 2 * iterations,
            "maxcor": 30,
            "ftol": 0.0,
            "gtol": max(tolerance / point.numel**0.5, 1e-9),
        },
    )
    point = _at(point, found.x)
    loss, gradient = problem.inner_gradient(point, alpha)
    for _ in range(NEWTON_STEPS):
        length = float(gradient.norm())
        if length <= tolerance:
            return InnerSolution(point.tree(), loss, length)
        hessian = Autograd()(problem, point, alpha).hessian.to_scipy()
        step, _ = minres(hessian, -gradient.flat().double().cpu().numpy(), rtol=1e-8)
        direction = point.like(torch.as_tensor(step).to(point.leaves[0]))
        for halving in range(HALVINGS):
            trial = point + 0.5**halving * direction
            trial_loss, trial_gradient = problem.inner_gradient(trial, alpha)
            if float(trial_gradient.norm()) < length:
                break
        else:
            break
        point, loss, gradient = trial, trial_loss, trial_gradient
    length = float(gradient.norm())
    if length <= tolerance:
        return InnerSolution(point.tree(), loss, length)
    raise ValueError(
        f"the inner problem was asked for ‖∇_ω L_train‖ ≤ {tolerance:.3g} and stopped at "
        f"{length:.3g} (n = {point.numel}, {point.dtype}). Rounding allows no less than about "
        "eps times the size of the terms that cancel: ask for less, use float64, or smooth the "
        "loss if it has kinks."
    )


def _at(point: Vector, array: np.ndarray) -> Vector:
    return point.like(torch.as_tensor(array).to(point.leaves[0]))
