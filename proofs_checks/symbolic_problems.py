"""Bilevel problems in symbols with a known inner minimiser: a general quadratic, and another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sympy
from sympy import Expr, Symbol

from proofs_checks.rational import Matrix, column


@dataclass(frozen=True)
class SymbolicProblem:
    """Losses as expressions, and ω*(α) as expressions in α.

    Attributes:
        inner: F = L_train.
        outer: G = L_val.
        omega: the symbols of ω.
        alpha: the symbols of α.
        minimiser: ω*(α), one expression per symbol of ω.
    """

    inner: Expr
    outer: Expr
    omega: tuple[Symbol, ...]
    alpha: tuple[Symbol, ...]
    minimiser: tuple[Expr, ...]

    def at_minimiser(self, expression: Expr) -> Expr:
        return expression.subs(
            dict(zip(self.omega, self.minimiser, strict=True)), simultaneous=True
        )

    @property
    def value(self) -> Expr:
        """Φ(α) = G(ω*(α), α)."""
        return self.at_minimiser(self.outer)

    @property
    def value_gradient(self) -> Matrix:
        """∇Φ, by differentiating Φ itself: no implicit function theorem."""
        return column(*(sympy.diff(self.value, a) for a in self.alpha))

    @property
    def minimiser_jacobian(self) -> Matrix:
        """∂ω*/∂α, n×m, by differentiating ω*(α) itself."""
        return Matrix.of([sympy.diff(w, a) for a in self.alpha] for w in self.minimiser)

    @property
    def stationarity(self) -> Matrix:
        """∇_ω F at ω*(α)."""
        return column(*(self.at_minimiser(sympy.diff(self.inner, w)) for w in self.omega))

    def hessian(self) -> Matrix:
        return self._second(self.omega, self.omega)

    def mixed(self) -> Matrix:
        return self._second(self.alpha, self.omega)

    def slope(self) -> Matrix:
        return column(*(self.at_minimiser(sympy.diff(self.outer, w)) for w in self.omega))

    def direct(self) -> Matrix:
        return column(*(self.at_minimiser(sympy.diff(self.outer, a)) for a in self.alpha))

    def _second(self, rows: Sequence[Symbol], cols: Sequence[Symbol]) -> Matrix:
        return Matrix.of(
            [self.at_minimiser(sympy.diff(self.inner, r, c)) for c in cols] for r in rows
        )


def quadratic() -> SymbolicProblem:
    """F = ½ωᵀHω + αᵀBω and G = ½ωᵀWω + vᵀω + αᵀDω + ½‖α‖², all entries symbols; n = m = 2."""
    w = sympy.symbols("w1 w2")
    a = sympy.symbols("a1 a2")
    h11, h12, h22 = sympy.symbols("h11 h12 h22")
    b = sympy.symbols("b11 b12 b21 b22")
    v = sympy.symbols("v1 v2")
    u11, u12, u22 = sympy.symbols("u11 u12 u22")
    d = sympy.symbols("d11 d12 d21 d22")
    force = (a[0] * b[0] + a[1] * b[2], a[0] * b[1] + a[1] * b[3])
    inner = (
        (h11 * w[0] ** 2 + 2 * h12 * w[0] * w[1] + h22 * w[1] ** 2) / 2
        + force[0] * w[0]
        + force[1] * w[1]
    )
    outer = (
        (u11 * w[0] ** 2 + 2 * u12 * w[0] * w[1] + u22 * w[1] ** 2) / 2
        + v[0] * w[0]
        + v[1] * w[1]
        + (a[0] * d[0] + a[1] * d[2]) * w[0]
        + (a[0] * d[1] + a[1] * d[3]) * w[1]
        + (a[0] ** 2 + a[1] ** 2) / 2
    )
    determinant = h11 * h22 - h12**2
    minimiser = (
        -(h22 * force[0] - h12 * force[1]) / determinant,
        -(h11 * force[1] - h12 * force[0]) / determinant,
    )
    return SymbolicProblem(inner, outer, w, a, minimiser)


def hyperbolic() -> SymbolicProblem:
    """F = Σ cosh ωᵢ − ωᵢ sinh ψᵢ(α) + ½(ω₁ − ω₂ − ψ₁ + ψ₂)²: strongly convex, not quadratic.

    H = diag(cosh ω) + [[1, −1], [−1, 1]] ⪰ I and ω*(α) = ψ(α) = (α₁α₂, α₁ − α₂²), so that H and
    B both move with α.
    """
    w = sympy.symbols("w1 w2")
    a = sympy.symbols("a1 a2")
    psi = (a[0] * a[1], a[0] - a[1] ** 2)
    inner = (
        sympy.cosh(w[0])
        - w[0] * sympy.sinh(psi[0])
        + sympy.cosh(w[1])
        - w[1] * sympy.sinh(psi[1])
        + (w[0] - w[1] - psi[0] + psi[1]) ** 2 / 2
    )
    outer = w[0] ** 2 * a[1] + w[0] * w[1] + w[1] ** 3 + a[0] * w[1] + a[0] * a[1]
    return SymbolicProblem(inner, outer, w, a, psi)
