"""What products tell of an operator: eigenvalues by Lanczos, norms by bounds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from bilevel.linear import LinearOperator
from bilevel.vector import Vector


@dataclass(frozen=True)
class Tridiagonal:
    """The matrix T of a Lanczos process H V_k = V_{k+1} T̲_k: its spectrum is a sketch of H's.

    Attributes:
        diagonal: α₁ ... α_k.
        below: β₂ ... β_{k+1}; the last one is the row that T̲ has more than T.
    """

    diagonal: tuple[float, ...]
    below: tuple[float, ...]

    def ritz_values(self) -> NDArray[np.float64]:
        """Eigenvalues of T, ascending: all of them within [λ_min(H), λ_max(H)]."""
        off = self.below[: len(self.diagonal) - 1]
        matrix = np.diag(self.diagonal) + np.diag(off, 1) + np.diag(off, -1)
        values: NDArray[np.float64] = np.linalg.eigvalsh(matrix)
        return values

    def smallest_singular_value(self) -> float:
        """σ_min(T̲) ≥ min |λ(H)|: no vector of the Krylov space is shrunk further than this."""
        k = len(self.diagonal)
        extended = np.zeros((k + 1, k))
        extended[range(k), range(k)] = self.diagonal
        extended[range(1, k + 1), range(k)] = self.below[:k]
        extended[range(k - 1), range(1, k)] = self.below[: k - 1]
        return float(np.linalg.svd(extended, compute_uv=False)[-1])


def random_vector(prototype: Vector, generator: torch.Generator) -> Vector:
    """Standard normal coordinates, drawn on the CPU so that a seed means one vector anywhere."""
    leaves = [
        torch.randn(leaf.shape, generator=generator, dtype=leaf.dtype).to(leaf.device)
        for leaf in prototype.leaves
    ]
    return Vector(tuple(leaves), prototype.treespec)


def lanczos(operator: LinearOperator, products: int, seed: int) -> Tridiagonal:
    """`products` steps of Lanczos from a random vector, in the memory of three vectors.

    Without reorthogonalisation: extreme eigenvalues may appear more than once, false ones not.
    """
    generator = torch.Generator().manual_seed(seed)
    current = random_vector(operator.domain, generator)
    current = current / current.norm()
    before, beta = current.zeros_like(), 0.0
    diagonal, below = [], []
    for _ in range(min(products, operator.domain.numel)):
        image = operator @ current - beta * before
        alpha = float(current.dot(image))
        image = image - alpha * current
        beta = float(image.norm())
        diagonal.append(alpha)
        below.append(beta)
        scale = max(map(abs, diagonal + below))
        if beta <= torch.finfo(current.dtype).eps * scale:  # an invariant subspace is exhausted
            break
        before, current = current, image / beta
    return Tridiagonal(tuple(diagonal), tuple(below))


def largest_curvature(operator: LinearOperator, products: int, seed: int) -> tuple[float, int]:
    """A bound on max |λ| that holds for almost every start: the largest Ritz value plus β_{k+1}.

    (Zhou & Li 2011: an eigenvalue lies within the Ritz vector's residual ≤ β_{k+1} of it.)

    Returns:
        The bound, and the products spent.
    """
    sketch = lanczos(operator, products, seed)
    largest = float(np.abs(sketch.ritz_values()).max())
    return largest + abs(sketch.below[-1]), len(sketch.diagonal)


@dataclass(frozen=True)
class NormBound:
    """A number that ‖B‖ does not exceed. (Power iteration gives one that it is not below.)

    Attributes:
        value: the bound.
        gram: BBᵀ in float64, where it was formed; the bound is then exact.
        products: products with B or Bᵀ spent.
        assumes: what the bound rests on, in words.
    """

    value: float
    gram: Float[Tensor, "m m"] | None
    products: int
    assumes: tuple[str, ...] = ()


def norm_bound(
    operator: LinearOperator, *, largest_gram: int = 64, probes: int = 10, seed: int = 0
) -> NormBound:
    """Bound ‖B‖ from above.

    Up to `largest_gram` rows: BBᵀ from m products with Bᵀ, whose largest eigenvalue is ‖B‖². For
    more rows: random probes g of A, ‖B‖ ≤ (10 √(2/π) max ‖(BBᵀ)² g‖)^(1/4), which fails with
    probability at most 10^(−probes) (Halko, Martinsson & Tropp 2011, Lemma 4.1, applied to the
    power). About 2 times ‖B‖ where one singular value stands out, 4 times where 1000 are alike;
    4 · `probes` products.
    """
    m = operator.codomain.numel
    if m <= largest_gram:
        identity = torch.eye(m, dtype=operator.codomain.dtype, device=operator.codomain.device)
        rows = operator.T.many(identity).double()
        gram = rows @ rows.T
        top = max(float(torch.linalg.eigvalsh(gram)[-1]), 0.0)
        return NormBound(math.sqrt(top) * (1 + 1e-6), gram, m)
    generator = torch.Generator().manual_seed(seed)
    longest = 0.0
    for _ in range(probes):
        u = random_vector(operator.codomain, generator)
        scale = 1.0
        for _ in range(2):
            u = operator @ (operator.T @ u)
            length = float(u.norm())
            if length == 0:
                break
            scale, u = scale * length, u / length
        longest = max(longest, scale if length > 0 else 0.0)
    value = (10 * math.sqrt(2 / math.pi) * longest) ** 0.25
    chance = f"‖B‖ ≤ {value:.4g}, by {probes} random probes, wrong with probability 1e-{probes}"
    return NormBound(value, None, 4 * probes, (chance,))
