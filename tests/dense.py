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
    """H (n×n), B (m×n), v (n), g₁ (m) at one point; `ahead(ξ)` is one gradient step further."""

    hessian: Tensor
    mixed: Tensor
    slope: Tensor
    direct: Tensor
    ahead: Callable[[float], Dense]

    def exact(self) -> Tensor:
        return -self.mixed @ torch.linalg.solve(self.hessian, self.slope)

    def identity(self, eta: float) -> Tensor:
        return -eta * self.mixed @ self.slope

    def amended(self, eta: float) -> Tensor:
        return -eta * self.mixed @ self.hessian @ self.slope


def dense(inner: Any, outer: Any, omega: Any, alpha: Any) -> Dense:
    """Differentiate the two losses, as functions of flat vectors, at (ω, α)."""
    w0, omega_of = ravel(omega)
    a0, alpha_of = ravel(alpha)

    def train(w: Tensor, a: Tensor) -> Tensor:
        return inner(omega_of(w), alpha_of(a))

    def val(w: Tensor, a: Tensor) -> Tensor:
        return outer(omega_of(w), alpha_of(a))

    def at(w: Tensor) -> Dense:
        slope, direct = torch.func.grad(val, argnums=(0, 1))(w, a0)
        return Dense(
            hessian=jacobian(lambda x: torch.func.grad(train)(x, a0), w),
            mixed=jacobian(lambda x: torch.func.grad(train, argnums=1)(x, a0), w),
            slope=slope,
            direct=direct,
            ahead=lambda xi: at(w - xi * torch.func.grad(train)(w, a0)),
        )

    return at(w0.detach())
