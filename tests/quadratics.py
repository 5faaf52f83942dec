"""Bilevel problems whose derivatives are known: quadratics, and smooth problems on nested trees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bilevel import BilevelProblem


@dataclass(frozen=True)
class Case:
    """A problem and a point of it."""

    problem: BilevelProblem
    omega: Any
    alpha: Any

    @property
    def point(self) -> tuple[Any, Any]:
        return self.omega, self.alpha


@dataclass(frozen=True)
class QuadraticCase(Case):
    hessian: Tensor
    mixed: Tensor
    outer_gradient: Tensor


def quadratic(
    hessian: Any, mixed: Any, outer_gradient: Any, *, dtype: torch.dtype = torch.float64
) -> QuadraticCase:
    """F = ½ωᵀHω + αᵀBω, G = vᵀω at ω = 0, α = 0, which is the inner minimum for H ≻ 0."""
    h, b, v = (torch.as_tensor(x, dtype=dtype) for x in (hessian, mixed, outer_gradient))
    n, m = len(h), len(b)
    return QuadraticCase(
        problem=BilevelProblem(
            lambda w, a: 0.5 * w @ h @ w + a @ b @ w,
            lambda w, a: v @ w,
        ),
        omega=torch.zeros(n, dtype=dtype),
        alpha=torch.zeros(m, dtype=dtype),
        hessian=h,
        mixed=b,
        outer_gradient=v,
    )


def orthogonal(n: int, generator: torch.Generator) -> Tensor:
    q, r = torch.linalg.qr(torch.randn(n, n, generator=generator, dtype=torch.float64))
    return q * torch.diagonal(r).sign()


def spectrum(n: int, kappa: float, generator: torch.Generator) -> Tensor:
    """n eigenvalues, log-uniform in [1, κ]."""
    return torch.exp(
        torch.rand(n, generator=generator, dtype=torch.float64)
        * torch.log(torch.tensor(kappa, dtype=torch.float64))
    )


def with_spectrum(
    seed: int, eigenvalues: Any, m: int = 3, *, dtype: torch.dtype = torch.float64
) -> QuadraticCase:
    """A quadratic whose H has these eigenvalues, and whose v meets every eigenvector."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.as_tensor(eigenvalues, dtype=torch.float64)
    n = len(values)
    basis = orthogonal(n, generator)
    outer_gradient = basis @ torch.ones(n, dtype=torch.float64)
    mixed = torch.randn(m, n, generator=generator, dtype=torch.float64)
    return quadratic(basis @ torch.diag(values) @ basis.T, mixed, outer_gradient, dtype=dtype)


def roundoff(hessian: Tensor) -> float:
    """Relative error that a backward-stable solve with H may carry: n · eps · cond(H)."""
    eps = torch.finfo(hessian.dtype).eps
    return len(hessian) * eps * float(torch.linalg.cond(hessian))


def random_quadratic(seed: int, *, kappa: float = 10.0, dtype: torch.dtype = torch.float64) -> Case:
    generator = torch.Generator().manual_seed(seed)
    n = int(torch.randint(1, 9, (), generator=generator))
    m = int(torch.randint(1, 5, (), generator=generator))
    q = orthogonal(n, generator)
    hessian = q @ torch.diag(spectrum(n, kappa, generator)) @ q.T
    mixed = torch.randn(m, n, generator=generator, dtype=torch.float64)
    outer_gradient = torch.randn(n, generator=generator, dtype=torch.float64)
    return quadratic(hessian, mixed, outer_gradient, dtype=dtype)


def nested(seed: int, *, dtype: torch.dtype = torch.float64, device: str = "cpu") -> Case:
    """A tanh network with nested ω, 0-d and 2-d leaves, and α = (log decay, class weights).

    Strongly convex near the point by its weight decay; both losses involve ω and α.
    """
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        drawn = 0.5 * torch.randn(shape, generator=generator, dtype=torch.float64)
        return drawn.to(device=device, dtype=dtype)

    x, y = draw(12, 3), draw(12)
    x_val, y_val = draw(9, 3), draw(9)
    omega = {"hidden": [draw(3, 2), draw(2)], "out": (draw(2), draw())}
    alpha = {"decay": draw(), "weights": draw(12)}

    def predict(w: Any, inputs: Tensor) -> Tensor:
        hidden = torch.tanh(inputs @ w["hidden"][0] + w["hidden"][1])
        return hidden @ w["out"][0] + w["out"][1]

    def square(w: Any) -> Tensor:
        return sum((leaf**2).sum() for leaf in (*w["hidden"], *w["out"]))

    def inner(w: Any, a: Any) -> Tensor:
        residual = predict(w, x) - y
        fit = (torch.sigmoid(a["weights"]) * residual**2).mean()
        return fit + 0.5 * torch.exp(a["decay"]) * square(w)

    def outer(w: Any, a: Any) -> Tensor:
        return ((predict(w, x_val) - y_val) ** 2).mean() + 0.1 * (a["weights"] ** 2).mean()

    return Case(BilevelProblem(inner, outer), omega, alpha)


def scalar(seed: int, *, dtype: torch.dtype = torch.float64) -> Case:
    """0-d ω and 0-d α, with third derivatives that do not vanish."""
    generator = torch.Generator().manual_seed(seed)
    c = float(torch.rand((), generator=generator, dtype=torch.float64)) + 0.5
    return Case(
        BilevelProblem(
            lambda w, a: torch.cosh(w - a) + c * w**2,
            lambda w, a: (2 * w - a) ** 2 + torch.sin(a),
        ),
        torch.tensor(0.3 * c, dtype=dtype),
        torch.tensor(0.7, dtype=dtype),
    )
