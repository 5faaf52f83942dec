"""Train ω until its gradient vanishes: L-BFGS, then Newton on the dense Hessian or by CG."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from bilevel.derivatives import Autograd
from bilevel.linear import LinearOperator
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


def newton_cg(
    problem: BilevelProblem, omega: Vector, alpha: Vector, *, tolerance: float, steps: int = 600
) -> Vector:
    """SciPy's trust-region Newton-CG on ω ↦ L_train(ω, α): curvature products, no dense H.

    It stops at ‖∇L_train‖ ≤ tolerance; the caller checks whether it came that far.
    """
    hessians: dict[bytes, LinearOperator] = {}

    def at(point: NDArray[np.float64]) -> Vector:
        return omega.like(torch.from_numpy(point.copy()))

    def value_and_gradient(
        point: NDArray[np.float64],
    ) -> tuple[float, NDArray[np.float64]]:
        value, gradient = problem.inner_gradient(at(point), alpha)
        return value, gradient.flat().numpy()

    def product(point: NDArray[np.float64], direction: NDArray[np.float64]) -> NDArray[np.float64]:
        key = point.tobytes()
        if key not in hessians:
            hessians.clear()
            hessians[key] = Autograd()(problem, at(point), alpha).hessian
        found: NDArray[np.float64] = (hessians[key] @ at(direction)).flat().numpy()
        return found

    found = minimize(
        value_and_gradient,
        omega.flat().numpy().copy(),
        jac=True,
        hessp=product,
        method="trust-ncg",
        options={"gtol": tolerance, "maxiter": steps},
    )
    return at(found.x)
