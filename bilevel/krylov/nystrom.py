"""The Nyström approximation of a symmetric operator from a random sketch of it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from bilevel.linear import LinearOperator
from bilevel.problem import finite_curvature


@dataclass(frozen=True)
class LowRank:
    """U Λ Uᵀ ≈ H with orthonormal columns U and Λ ≥ 0, descending.

    Attributes:
        basis: U.
        eigenvalues: Λ.
        lowest: the smallest eigenvalue of the sketch ΩᵀHΩ with orthonormal Ω: λ_min(H) is not
            above it.
        products: number of products with H spent on it.
    """

    basis: Float[Tensor, "n r"]
    eigenvalues: Float[Tensor, " r"]
    lowest: float
    products: int

    def apply(
        self, coefficients: Float[Tensor, " r"], scale: float, v: Float[Tensor, " n"]
    ) -> Float[Tensor, " n"]:
        """scale · v + U diag(coefficients) Uᵀ v."""
        return scale * v + self.basis @ (coefficients * (self.basis.T @ v))


def nystrom(operator: LinearOperator, rank: int, seed: int) -> LowRank:
    """HΩ (ΩᵀHΩ)⁺ ΩᵀH for n×rank Gaussian Ω: `rank` products, n · rank numbers of memory twice over.

    For H ⪰ 0 it lies between 0 and H. Of an indefinite H only what has positive curvature within
    the sketch is kept (Tropp, Yurtsever, Udell & Cevher 2017, with an eigendecomposition of the
    core in place of a shift and Cholesky).
    """
    n = operator.domain.numel
    rank = min(rank, n)
    generator = torch.Generator().manual_seed(seed)
    prototype = operator.domain.leaves[0]
    draws = torch.randn(
        n, rank, generator=generator, dtype=prototype.dtype, device=generator.device
    )
    sketch, _ = torch.linalg.qr(draws.to(prototype.device))
    image = operator.many(sketch.T).T
    core = sketch.T @ image
    finite_curvature(float(core.sum()))
    values, vectors = torch.linalg.eigh((core + core.T) / 2)
    kept = values > rank * torch.finfo(values.dtype).eps * values.abs().max()
    half = image @ (vectors[:, kept] / values[kept].sqrt())
    basis, singular, _ = torch.linalg.svd(half, full_matrices=False)
    return LowRank(basis, singular.square(), float(values[0]), rank)
