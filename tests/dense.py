"""The oracle: every estimator from dense matrices, written from the paper, sharing no code with
`bilevel`. Derivatives come from `torch.func`, never from `torch.autograd.grad`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


def ravel(tree: Any) -> tuple[Tensor, Callable[[Tensor], Any]]:
    """All tensors of a dict, list or tuple in one, keys in sorted order, and the way back."""
    if isinstance(tree, Tensor):
        return tree.reshape(-1), lambda flat: flat.reshape(tree.shape)
    keys = sorted(tree) if isinstance(tree, dict) else range(len(tree))
    parts = [ravel(tree[key]) for key in keys]
    sizes = [flat.numel() for flat, _ in parts]

    def back(flat: Tensor) -> Any:
        pieces = torch.split(flat, sizes)
        values = [make(piece) for (_, make), piece in zip(parts, pieces, strict=True)]
        if isinstance(tree, dict):
            return dict(zip(keys, values, strict=True))
        return type(tree)(values)

    return torch.cat([flat for flat, _ in parts]), back


def jacobian(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Row by row, so that dropout and batch norm need no vmap rules."""
    value, pullback = torch.func.vjp(function, x)
    return torch.stack([pullback(e)[0] for e in torch.eye(len(value), dtype=x.dtype)])


@dataclass(frozen=True)
class Dense:
    """H (n×n), B (m×n), v (n), g₁ (m) at one point; `ahead(ξ)` is one gradient step further.

    `train` and `val` are the losses as functions of flat vectors, `omega` and `alpha` the point.
    """

    hessian: Tensor
    mixed: Tensor
    outer_gradient: Tensor
    direct: Tensor
    ahead: Callable[[float], Dense]
    train: Callable[[Tensor, Tensor], Tensor]
    val: Callable[[Tensor, Tensor], Tensor]
    omega: Tensor
    alpha: Tensor

    def exact(self) -> Tensor:
        return -self.mixed @ torch.linalg.solve(self.hessian, self.outer_gradient)

    def identity(self, eta: float) -> Tensor:
        return -eta * self.mixed @ self.outer_gradient

    def amended(self, eta: float) -> Tensor:
        return -eta * self.mixed @ self.hessian @ self.outer_gradient

    def neumann(self, terms: int, step: float) -> Tensor:
        """The series, power by power."""
        contraction = torch.eye(len(self.outer_gradient)).to(self.hessian) - step * self.hessian
        series = sum(torch.linalg.matrix_power(contraction, j) for j in range(terms + 1))
        return -step * self.mixed @ series @ self.outer_gradient

    def landweber(self, terms: int, step: float) -> Tensor:
        """Gradient descent on ½‖Hq − v‖², whose gradient autograd takes."""
        q = torch.zeros_like(self.outer_gradient)
        for _ in range(terms):
            objective = torch.func.grad(
                lambda x: 0.5 * (self.hessian @ x - self.outer_gradient).square().sum()
            )
            q = q - step * objective(q)
        return -self.mixed @ q

    def krylov_basis(self, dimension: int) -> Tensor:
        """Orthonormal columns that span v, Hv, H²v, ..., each one orthogonalised twice."""
        hessian, fresh = self.hessian.double(), self.outer_gradient.double()
        columns: list[Tensor] = []
        for _ in range(dimension):
            before = fresh.norm()
            for column in columns + columns:
                fresh = fresh - column * (column @ fresh)
            if fresh.norm() <= 1e-9 * before:
                break
            columns.append(fresh / fresh.norm())
            fresh = hessian @ columns[-1]
        return torch.stack(columns, dim=1)

    def least_energy(self, iterations: int) -> Tensor | None:
        """CG by its definition: ½qᵀHq − qᵀv minimised over the Krylov space; None: unbounded."""
        basis = self.krylov_basis(iterations)
        core = basis.T @ self.hessian.double() @ basis
        if torch.linalg.eigvalsh(core)[0] <= 0:
            return None
        q = basis @ torch.linalg.solve(core, basis.T @ self.outer_gradient.double())
        return (-self.mixed.double() @ q).to(self.outer_gradient)

    def least_residual(self, iterations: int) -> Tensor:
        """MINRES by its definition: ‖v − Hq‖ minimised over the Krylov space."""
        basis = self.krylov_basis(iterations)
        image = self.hessian.double() @ basis
        q = basis @ torch.linalg.lstsq(image, self.outer_gradient.double()[:, None]).solution[:, 0]
        return (-self.mixed.double() @ q).to(self.outer_gradient)

    def nystrom(self, rank: int, damping: float, seed: int) -> Tensor | None:
        """HΩ(ΩᵀHΩ)⁻¹ΩᵀH + ρI, inverted; None: indefinite on the sketch."""
        n = len(self.outer_gradient)
        generator = torch.Generator().manual_seed(seed)
        draws = torch.randn(n, min(rank, n), generator=generator, dtype=self.outer_gradient.dtype)
        image, draws = (self.hessian @ draws).double(), draws.double()
        core = draws.T @ image
        if torch.linalg.eigvalsh((core + core.T) / 2)[0] <= 0:
            return None
        low = image @ torch.linalg.solve(core, image.T) + damping * torch.eye(n, dtype=image.dtype)
        q = torch.linalg.solve(low, self.outer_gradient.double())
        return (-self.mixed.double() @ q).to(self.outer_gradient)

    def unrolled(
        self, steps: int, lr: float, momentum: float = 0.0, last: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """d/dα of L_val after the steps, by differentiating the whole recursion forward."""

        def final(alpha: Tensor) -> Tensor:
            w, u = self.omega, torch.zeros_like(self.omega)
            for number in range(steps):
                at = self.alpha if last is not None and number < steps - last else alpha
                u = momentum * u + torch.func.grad(self.train)(w, at)
                w = w - lr * u
            return w

        direct = torch.func.grad(self.val, argnums=1)(final(self.alpha), self.alpha)
        implicit = torch.func.grad(lambda a: self.val(final(a), self.alpha))(self.alpha)
        return direct, implicit

    def penalty(self, strength: float, steps: int, lr: float) -> tuple[Tensor, Tensor]:
        """∇_α of L_val(y) + λ(L_train(y) − L_train(z)), y and z held fixed where T steps end."""

        def lagrangian(w: Tensor, a: Tensor) -> Tensor:
            return self.train(w, a) + self.val(w, a) / strength

        y = z = self.omega
        for _ in range(steps):
            y = y - lr * torch.func.grad(lagrangian)(y, self.alpha)
            z = z - lr * torch.func.grad(self.train)(z, self.alpha)
        gap = torch.func.grad(lambda a: strength * (self.train(y, a) - self.train(z, a)))
        return torch.func.grad(self.val, argnums=1)(y, self.alpha), gap(self.alpha)


def dense(inner: Any, outer: Any, omega: Any, alpha: Any) -> Dense:
    """Differentiate the two losses, as functions of flat vectors, at (ω, α)."""
    w0, omega_of = ravel(omega)
    a0, alpha_of = ravel(alpha)

    def train(w: Tensor, a: Tensor) -> Tensor:
        return inner(omega_of(w), alpha_of(a))

    def val(w: Tensor, a: Tensor) -> Tensor:
        return outer(omega_of(w), alpha_of(a))

    def at(w: Tensor) -> Dense:
        outer_gradient, direct = torch.func.grad(val, argnums=(0, 1))(w, a0)
        return Dense(
            hessian=jacobian(lambda x: torch.func.grad(train)(x, a0), w),
            mixed=jacobian(lambda x: torch.func.grad(train, argnums=1)(x, a0), w),
            outer_gradient=outer_gradient,
            direct=direct,
            ahead=lambda xi: at(w - xi * torch.func.grad(train)(w, a0)),
            train=train,
            val=val,
            omega=w,
            alpha=a0.detach(),
        )

    return at(w0.detach())
