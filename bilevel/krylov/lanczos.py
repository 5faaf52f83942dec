"""The Lanczos process from a random vector: the ends of a spectrum, and its gap around zero."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import eigvalsh_tridiagonal

from bilevel.linear import LinearOperator
from bilevel.lost import refuse_lost_curvature
from bilevel.problem import finite_curvature
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
        values: NDArray[np.float64] = eigvalsh_tridiagonal(self.diagonal, off)
        return values

    def gap_around_zero(self, n: int, failure: float, eps: float) -> float:
        """A number below all |λ(H)|, for a Lanczos process from a random vector b of n coordinates.

        An eigenvector u of H for λ has ⟨v_{k+1}, u⟩ = p_k(λ)⟨b, u⟩ / Π β, with p_k the
        characteristic polynomial of T, and v_{k+1} is a unit vector: |p_k(λ)| ≤ Π β / |⟨b, u⟩|.
        |⟨b, u⟩| exceeds t = failure · √(π / 2n) except with probability `failure`. So λ is not
        where |p_k| > Π β / t: an interval around 0 if it holds at 0 (van Dorsselaer, Hochstenbach
        & van der Vorst 2000, for the ends of a spectrum). The bound is wrong with probability at
        most `failure`, over b, whatever the spectrum and its signs: only the component along the
        eigenvector next to 0 counts.

        For H ≻ 0 it is half of λ_min after at most some √(κ/2) log(1.65 √n / failure) products
        (Kuczyński & Woźniakowski 1992), and earlier where few eigenvalues are small. With
        eigenvalues on both sides of 0 it takes about √κ times as many.

        Args:
            eps: machine epsilon of the products. t is lowered by eps √k, for components that are
                rounding errors.

        Returns:
            The bound; 0 where nothing is known yet.
        """
        limit = self._limit(n, failure, eps)
        if not math.isfinite(limit):
            return 0.0
        values = self.ritz_values()

        def excluded(x: float) -> bool:
            with np.errstate(divide="ignore"):
                return bool(np.log(np.abs(x - values)).sum() > limit)

        if not excluded(0.0):
            return 0.0
        nearest = math.inf
        for side in (values[values > 0], values[values < 0]):
            if len(side) == 0:
                continue
            # log |p_k| is concave between
            inside, outside = 0.0, float(side[np.abs(side).argmin()])
            for _ in range(60):
                middle = (inside + outside) / 2
                inside, outside = (middle, outside) if excluded(middle) else (inside, middle)
            nearest = min(nearest, abs(inside))
        return max(0.0, nearest - 10 * eps * float(np.abs(values).max()))

    def ends(self, n: int, failure: float, eps: float) -> float:
        """A number that no |λ(H)| exceeds, for a Lanczos process from a random vector.

        As in `gap_around_zero`, λ is not where |p_k(λ)| > Π β / t; beyond the Ritz values |p_k|
        grows, so that both ends of the spectrum lie before the first such point (van Dorsselaer,
        Hochstenbach & van der Vorst 2000). Wrong with probability at most 2 `failure`.

        Returns:
            The bound; infinite where nothing is known yet.
        """
        limit = self._limit(n, failure, eps)
        if not math.isfinite(limit):  # −∞: H = 0 on all that the start sees
            return 0.0 if limit < 0 else math.inf
        values, k = self.ritz_values(), len(self.diagonal)
        bound = 0.0
        for side in (values, -values):
            # at limit^(1/k) from the outermost Ritz value each factor is at least that
            inside, outside = float(side.max()), float(side.max()) + math.exp(limit / k)
            for _ in range(60):
                middle = (inside + outside) / 2
                with np.errstate(divide="ignore"):
                    excluded = bool(np.log(np.abs(middle - side)).sum() > limit)
                inside, outside = (inside, middle) if excluded else (middle, outside)
            bound = max(bound, outside)
        return bound + 10 * eps * float(np.abs(values).max())

    def _limit(self, n: int, failure: float, eps: float) -> float:
        """log(Π β / t); ∞ where nothing is known yet, −∞ where H maps all that was seen to 0."""
        component = failure * math.sqrt(math.pi / (2 * n)) - eps * math.sqrt(len(self.diagonal))
        if component <= 0 or not all(self.below[:-1]):
            return math.inf
        last = max(self.below[-1], eps * float(np.abs(self.ritz_values()).max()))
        if last == 0:
            return -math.inf
        return float(np.log(self.below[:-1]).sum()) + math.log(last) - math.log(component)

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
        torch.randn(leaf.shape, generator=generator, dtype=leaf.dtype, device=generator.device).to(
            leaf.device
        )
        for leaf in prototype.leaves
    ]
    return Vector(tuple(leaves), prototype.treespec)


def lanczos(operator: LinearOperator, products: int, seed: int) -> Tridiagonal:
    """`products` steps of Lanczos from a random vector, in the memory of three vectors.

    Without reorthogonalisation: extreme eigenvalues may appear more than once, false ones not.
    """
    steps = lanczos_steps(operator, seed)
    *_, sketch = islice(steps, min(products, operator.domain.numel))
    return sketch


def lanczos_steps(operator: LinearOperator, seed: int) -> Iterator[Tridiagonal]:
    """The same, step by step; ends where an invariant subspace is exhausted."""
    generator = torch.Generator().manual_seed(seed)
    current = random_vector(operator.domain, generator)
    current = current / current.norm()
    before, beta = current.zeros_like(), 0.0
    diagonal: list[float] = []
    below: list[float] = []
    scale = 0.0
    while True:
        image = operator @ current - beta * before
        alpha = finite_curvature(float(current.dot(image)))
        image = image - alpha * current
        beta = float(image.norm())
        diagonal.append(alpha)
        below.append(beta)
        scale = max(scale, abs(alpha), beta)
        refuse_lost_curvature(scale, current.numel, current.dtype)
        yield Tridiagonal(tuple(diagonal), tuple(below))
        if beta <= torch.finfo(current.dtype).eps * scale:
            return
        before, current = current, image / beta


def largest_curvature(operator: LinearOperator, products: int, seed: int) -> tuple[float, int]:
    """A bound on max |λ|, wrong with probability at most 1e-3 over the random start.

    `Tridiagonal.ends`: after ten products 1.2 to 1.5 times max |λ| for 10² to 10⁵ parameters. The
    largest Ritz value plus its residual (Zhou & Li 2011) is often taken instead, and bounds the
    distance to some eigenvalue only. It is taken here too where `ends` knows nothing: in float32
    with some 10⁶ parameters and more.

    Returns:
        The bound, and the products spent.
    """
    sketch = lanczos(operator, products, seed)
    eps = float(torch.finfo(operator.domain.dtype).eps)
    bound = sketch.ends(operator.domain.numel, 5e-4, eps)
    if not math.isfinite(bound):
        bound = float(np.abs(sketch.ritz_values()).max()) + abs(sketch.below[-1])
    return bound, len(sketch.diagonal)
