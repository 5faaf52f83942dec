"""Train ω until its gradient vanishes: L-BFGS, then Newton on the dense Hessian."""

from __future__ import annotations

import torch
from torch import Tensor

from bilevel.derivatives import Autograd
from bilevel.problem import BilevelProblem
from bilevel.vector import Vector


def descend(problem: BilevelProblem, omega: Vector, alpha: Vector, iterations: int) -> Vector:
    """L-BFGS with strong-Wolfe line search on ω ↦ L_train(ω, α)."""
    flat = omega.flat().clone().requires_grad_()
    optimizer = torch.optim.LBFGS(
        [flat],
        max_iter=iterations,
        max_eval=2 * iterations,
        history_size=50,
        tolerance_grad=1e-12,
        tolerance_change=1e-16,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        value, gradient = problem.inner_gradient(omega.like(flat.detach()), alpha)
        flat.grad = gradient.flat()
        return torch.tensor(value, dtype=flat.dtype)

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return omega.like(flat.detach())


def polish(
    problem: BilevelProblem, omega: Vector, alpha: Vector, *, steps: int, tolerance: float = 1e-10
) -> Vector:
    """Newton steps along |H|⁻¹∇L_train, halved until L_train falls: they leave saddle points."""
    for _ in range(steps):
        value, gradient = problem.inner_gradient(omega, alpha)
        if float(gradient.norm()) < tolerance:
            break
        dense = Autograd()(problem, omega, alpha).hessian.dense()
        values, vectors = torch.linalg.eigh((dense + dense.T) / 2)
        floor = 1e-8 * float(values.abs().max())
        direction = omega.like(
            vectors @ ((vectors.T @ gradient.flat()) / values.abs().clamp_min(floor))
        )
        length = 1.0
        while length > 1e-6:
            candidate = omega - length * direction
            after, slope = problem.inner_gradient(candidate, alpha)
            if after < value or float(slope.norm()) < float(gradient.norm()):
                omega = candidate
                break
            length /= 2
        else:
            break
    return omega
