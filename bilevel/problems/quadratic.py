"""A quadratic problem whose every answer is known in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from bilevel.problem import BilevelProblem
from bilevel.problems.ready import ReadyProblem


@dataclass(frozen=True)
class Quadratic(ReadyProblem):
    """F = ½ωᵀHω + αᵀBω and G = ½‖ω − t‖² + ½ρ‖α‖²; the point is ω = ω*(α).

    ω*(α) = −H⁻¹Bᵀα, so Φ is quadratic too, and its minimum is one linear system.

    Attributes:
        hessian: H, symmetric and invertible; indefinite ones are allowed, and then ω*(α) is the
            stationary point.
        mixed: B.
        target: t.
        ridge: ρ ≥ 0.
    """

    hessian: Float[Tensor, "n n"]
    mixed: Float[Tensor, "m n"]
    target: Float[Tensor, " n"]
    ridge: float

    def solution(self, alpha: Float[Tensor, " m"]) -> Float[Tensor, " n"]:
        """ω*(α)."""
        omega: Tensor = -torch.linalg.solve(self.hessian, self.mixed.T @ alpha)
        return omega

    def hypergradient(self, alpha: Float[Tensor, " m"]) -> Float[Tensor, " m"]:
        """dΦ/dα = ρα − B H⁻¹ (ω*(α) − t)."""
        outer_gradient = self.solution(alpha) - self.target
        solved: Tensor = torch.linalg.solve(self.hessian, outer_gradient)
        return self.ridge * alpha - self.mixed @ solved

    def minimum(self) -> Float[Tensor, " m"]:
        """The α at which dΦ/dα = 0."""
        alpha: Tensor = torch.linalg.solve(self._outer_hessian(), self._response().T @ self.target)
        return alpha

    def largest_outer_curvature(self) -> float:
        """The largest eigenvalue of ∇²Φ: gradient descent on α needs steps below 2 over it."""
        return float(torch.linalg.eigvalsh(self._outer_hessian())[-1])

    def _response(self) -> Float[Tensor, "n m"]:
        """dω*/dα."""
        solved: Tensor = torch.linalg.solve(self.hessian, self.mixed.T)
        return -solved

    def _outer_hessian(self) -> Float[Tensor, "m m"]:
        response = self._response()
        return response.T @ response + self.ridge * torch.eye(len(self.mixed)).to(response)


def quadratic(
    n: int = 20,
    m: int = 3,
    *,
    condition: float = 100.0,
    negative: int = 0,
    ridge: float = 0.1,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
) -> Quadratic:
    """A random one: eigenvalues of H log-uniform between 1/κ and 1, random eigenvectors.

    Args:
        condition: κ; both ends of the spectrum are attained.
        negative: number of eigenvalues with a minus sign, for an indefinite H.

    Raises:
        ValueError: sizes, κ or the number of negative eigenvalues make no sense.
    """
    if n < 2 or m < 1 or not condition >= 1 or not 0 <= negative <= n:
        raise ValueError(
            f"quadratic(n={n}, m={m}, condition={condition}, negative={negative}): need n ≥ 2, "
            "m ≥ 1, condition ≥ 1 and 0 ≤ negative ≤ n."
        )
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    exponents = torch.rand(n, generator=generator, dtype=torch.float64)
    exponents[0], exponents[1] = 0.0, 1.0
    eigenvalues = condition**-exponents
    eigenvalues[torch.randperm(n, generator=generator)[:negative]] *= -1
    basis, _ = torch.linalg.qr(normal(n, n))
    h = (basis @ torch.diag(eigenvalues) @ basis.T).to(dtype)
    h = (h + h.T) / 2
    b, t, alpha = normal(m, n).to(dtype), normal(n).to(dtype), normal(m).to(dtype)
    problem = BilevelProblem(
        lambda w, a: 0.5 * w @ h @ w + a @ b @ w,
        lambda w, a: 0.5 * (w - t) @ (w - t) + 0.5 * ridge * a @ a,
    )
    omega = -torch.linalg.solve(h, b.T @ alpha)
    return Quadratic(problem, omega, alpha, h, b, t, ridge)
