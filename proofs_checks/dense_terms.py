"""A problem at one point as matrices H, B, v, and implicit terms from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from bilevel.derivatives import Autograd
from bilevel.problem import BilevelProblem
from bilevel.vector import Vector


@dataclass(frozen=True)
class DenseTerms:
    """H [n n] symmetrised, B [m n], v = ∇_ω L_val [n], g₁ [m], and ∇_ω L_train [n]."""

    hessian: Tensor
    mixed: Tensor
    slope: Tensor
    direct: Tensor
    inner_gradient: Tensor

    @staticmethod
    def at(problem: BilevelProblem, omega: Vector, alpha: Vector) -> DenseTerms:
        _, slope, direct = problem.outer_gradients(omega, alpha)
        curvature = Autograd()(problem, omega, alpha)
        hessian, mixed = curvature.hessian.dense(), curvature.mixed.dense()
        return DenseTerms(
            (hessian + hessian.T) / 2,
            mixed,
            slope.flat(),
            direct.flat(),
            problem.inner_gradient(omega, alpha)[1].flat(),
        )

    def with_outer(self, slope: Tensor, direct: Tensor) -> DenseTerms:
        """The same H and B, their spectrum computed once, under another L_val."""
        other = replace(self, slope=slope, direct=direct)
        other.__dict__["spectrum"] = self.spectrum
        return other

    @cached_property
    def spectrum(self) -> tuple[Tensor, Tensor]:
        """Eigenvalues, rising, and eigenvectors of H."""
        values, vectors = torch.linalg.eigh(self.hessian)
        return values, vectors

    @property
    def smallest(self) -> float:
        return float(self.spectrum[0][0])

    @property
    def largest(self) -> float:
        return float(self.spectrum[0][-1])

    @property
    def condition(self) -> float:
        """max|λ|/min|λ|."""
        sizes = self.spectrum[0].abs()
        return float(sizes.max() / sizes.min())

    def solve(self, damping: float = 0.0) -> Tensor:
        """(H + ρI)⁻¹v in the eigenbasis."""
        values, vectors = self.spectrum
        return vectors @ ((vectors.T @ self.slope) / (values + damping))

    def implicit(self, damping: float = 0.0) -> Tensor:
        """−B(H + ρI)⁻¹v; with ρ = 0 Eq. 5, whatever the signature of H."""
        return -self.mixed @ self.solve(damping)

    def terms(self, eta: float) -> Mapping[str, Tensor]:
        """The implicit terms of the estimators, dense: no code shared with theirs."""
        return {
            "first order": torch.zeros_like(self.direct),
            "identity": -eta * self.mixed @ self.slope,
            "amended": -eta * self.mixed @ (self.hessian @ self.slope),
        }


def angle_between(a: Tensor, b: Tensor) -> float:
    """In degrees; NaN if one of them is zero."""
    lengths = float(a.norm() * b.norm())
    if lengths == 0:
        return float("nan")
    cosine = min(1.0, max(-1.0, float(a @ b) / lengths))
    return float(torch.rad2deg(torch.acos(torch.tensor(cosine, dtype=torch.float64))))


def sign_agreement(a: Tensor, b: Tensor) -> float:
    """Share of coordinates with the same sign."""
    return float((a.sign() == b.sign()).double().mean())
