"""Random rational instances (H, B, v) for property tests, with the structure a theorem asks for."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from random import Random

from proofs_checks.definitions import Formulas
from proofs_checks.rational import (
    Matrix,
    diagonal,
    dot,
    random_column,
    random_matrix,
    random_rotation,
    random_spectrum,
    square,
)


@dataclass(frozen=True)
class Instance:
    """H symmetric, B and v, all rational.

    Attributes:
        hessian: H = Q diag(eigenvalues) Qᵀ.
        mixed: B.
        slope: v.
        eigenvalues: of H.
        eigenvectors: Q, orthogonal; column i belongs to eigenvalue i.
    """

    hessian: Matrix
    mixed: Matrix
    slope: Matrix
    eigenvalues: tuple[Fraction, ...]
    eigenvectors: Matrix

    @property
    def condition(self) -> Fraction:
        """max|λ|/min|λ|."""
        sizes = [abs(x) for x in self.eigenvalues]
        return max(sizes) / min(sizes)

    def __str__(self) -> str:
        return f"H = {self.hessian}, B = {self.mixed}, v = {self.slope}"


def definite(rng: Random, n: int, m: int) -> Instance:
    """H ≻ 0, B and v free."""
    return from_eigenvalues(rng, random_spectrum(rng, n), m)


def indefinite(rng: Random, n: int, m: int) -> Instance:
    """H invertible, signs free, B and v free."""
    return from_eigenvalues(rng, [rng.choice((-1, 1)) * x for x in random_spectrum(rng, n)], m)


def from_eigenvalues(rng: Random, eigenvalues: list[Fraction], m: int) -> Instance:
    n = len(eigenvalues)
    q = random_rotation(rng, n)
    hessian = q @ diagonal(*eigenvalues) @ q.T
    mixed = random_matrix(rng, m, n)
    return Instance(hessian, mixed, random_column(rng, n), tuple(eigenvalues), q)


def with_norm(rng: Random, rows: int, n: int) -> tuple[Matrix, Fraction]:
    """B = U diag(σ) Vᵀ with rational U, V, σ, and ‖B‖ = max σ: often one σ stands out."""
    rank = min(rows, n)
    sizes = [Fraction(rng.randint(0, 4), rng.choice((1, 1, 8))) for _ in range(rank)]
    sizes[0] = max(*sizes, Fraction(1))
    left, right = columns(random_rotation(rng, rows), rank), columns(random_rotation(rng, n), rank)
    return left @ diagonal(*sizes) @ right.T, sizes[0]


def columns(m: Matrix, count: int) -> Matrix:
    """The first columns."""
    return Matrix(tuple(row[:count] for row in m.entries))


def agreement(formulas: Formulas, case: Instance, eta: Fraction = Fraction(1)) -> Fraction:
    """⟨g₂′, g₂⟩."""
    amended = formulas.amended(case.hessian, case.mixed, case.slope, eta)
    return Fraction(dot(amended, formulas.implicit(case.hessian, case.mixed, case.slope)))


def darts_agreement(formulas: Formulas, case: Instance) -> Fraction:
    """⟨−Bv, g₂⟩."""
    return Fraction(
        dot(
            formulas.darts(case.mixed, case.slope, Fraction(1)),
            formulas.implicit(case.hessian, case.mixed, case.slope),
        )
    )


@dataclass(frozen=True)
class Shared:
    """An instance whose B has the exactly known norm `norm`."""

    instance: Instance
    norm: Fraction

    def share_squared(self, x: Matrix) -> Fraction:
        """‖Bx‖²/(‖B‖²‖x‖²)."""
        return Fraction(square(self.instance.mixed @ x) / (self.norm**2 * square(x)))

    def __str__(self) -> str:
        return f"{self.instance}, ‖B‖ = {self.norm}"


def shared(rng: Random, case: Instance, rows: int) -> Shared:
    """B drawn with a known norm, v drawn near its top right singular vector or anywhere."""
    n = case.hessian.shape[0]
    mixed, norm = with_norm(rng, rows, n)
    gram = mixed.T @ mixed
    slope = case.slope
    if rng.random() < 0.8 and square(gram @ slope) != 0:
        slope = gram @ gram @ gram @ slope + Fraction(rng.randint(-1, 1), 20) * slope
    if square(slope) == 0:
        slope = case.slope
    return Shared(Instance(case.hessian, mixed, slope, case.eigenvalues, case.eigenvectors), norm)
