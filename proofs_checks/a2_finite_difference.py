"""Appendix A.2: −ηBHv from four gradients of L_train, error O(ε²); its last line has a misprint."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import sympy
from sympy import Expr, Symbol

from proofs_checks.definitions import Formulas
from proofs_checks.evidence import ExactCounterexample, ExactIdentity, Exhibit, Rate
from proofs_checks.ledger import Claim, Verdict
from proofs_checks.rational import Matrix, column, root

STEP = sympy.Symbol("epsilon")
OMEGA = sympy.symbols("w1 w2")
POINT = (sympy.Rational(1, 2), sympy.Rational(-1, 3))
ALPHA = sympy.symbols("a1 a2")
ALPHA_POINT = (sympy.Integer(2), sympy.Rational(3, 4))


def inner_polynomial(x: Any, y: Any, a: Any, b: Any) -> Any:
    """L_train of degree 5 in ω = (x, y), so that A.2's error is a polynomial in ε."""
    convex = x**4 + x**2 * y**2 + y**4 + x**2 + x * y + y**2
    return convex + x**5 / 5 + a * x**3 + b * x * y**2 + a * y


def outer_polynomial(x: Any, y: Any, a: Any, b: Any) -> Any:
    """L_val, in symbols or in tensors like the other."""
    return x**3 + 2 * x * y + y**2 + a * x + b * y**2


def inner_loss() -> Expr:
    return inner_polynomial(*OMEGA, *ALPHA)


def outer_loss() -> Expr:
    return outer_polynomial(*OMEGA, *ALPHA)


def gradient_at(loss: Expr, variables: tuple[Symbol, ...]) -> Callable[[Matrix], Matrix]:
    """ω ↦ ∂loss/∂variables, α held at its point."""
    slopes = [sympy.diff(loss, x) for x in variables]

    def gradient(omega: Matrix) -> Matrix:
        at = dict(zip((*OMEGA, *ALPHA), (*omega, *ALPHA_POINT), strict=True))
        return column(*(sympy.expand(s.subs(at, simultaneous=True)) for s in slopes))

    return gradient


def second(loss: Expr, rows: tuple[Symbol, ...]) -> Matrix:
    at = dict(zip((*OMEGA, *ALPHA), (*POINT, *ALPHA_POINT), strict=True))
    return Matrix.of([sympy.diff(loss, r, c).subs(at) for c in OMEGA] for r in rows)


def third(loss: Expr, first: Symbol, direction: Matrix) -> Expr:
    """∂_first D³_ω loss [d, d, d] at the point: the coefficient of A.2's error, independently."""
    t = sympy.Symbol("t")
    at = {x: p + t * d for x, p, d in zip(OMEGA, POINT, direction, strict=True)}
    along = sympy.diff(loss, first).subs({**at, **dict(zip(ALPHA, ALPHA_POINT, strict=True))})
    return sympy.diff(along, t, 3).subs(t, 0)


def claims(formulas: Formulas) -> tuple[Claim, ...]:
    loss = inner_loss()
    point = column(*POINT)

    def slope() -> Matrix:
        return gradient_at(outer_loss(), OMEGA)(point)

    def hessian_product() -> Matrix:
        gradient = gradient_at(loss, OMEGA)
        return formulas.hessian_difference(gradient, point, slope(), STEP).map(sympy.expand)

    def coefficients(entry: Expr) -> dict[int, Expr]:
        polynomial = sympy.Poly(sympy.cancel(entry), STEP)
        return {k[0]: c for k, c in polynomial.terms()}

    def error_of_hessian_product() -> list[tuple[str, object, object]]:
        exact = second(loss, OMEGA) @ slope()
        sides: list[tuple[str, object, object]] = []
        for i, entry in enumerate(hessian_product()):
            found = coefficients(entry)
            sides += [
                (f"u{i + 1}: ε⁰ is (Hv){i + 1}", found[0], exact[i, 0]),
                (f"u{i + 1}: ε¹ vanishes", found.get(1, sympy.Integer(0)), sympy.Integer(0)),
                (
                    f"u{i + 1}: ε² is ∂³(∇F)[v, v, v]/6",
                    found[2],
                    third(loss, OMEGA[i], slope()) / 6,
                ),
            ]
        return sides

    def error_of_the_chain() -> list[tuple[str, object, object]]:
        """The whole of A.2 with η = 1: u by differences, then B u by differences."""
        u = hessian_product()
        estimate = -formulas.mixed_difference(gradient_at(loss, ALPHA), point, u, STEP)
        exact = formulas.amended(second(loss, OMEGA), second(loss, ALPHA), slope(), 1)
        mixed = second(loss, ALPHA)
        product = second(loss, OMEGA) @ slope()
        inner_error = column(*(third(loss, x, slope()) / 6 for x in OMEGA))
        outer_error = column(*(third(loss, x, product) / 6 for x in ALPHA))
        predicted = -(mixed @ inner_error) - outer_error
        sides: list[tuple[str, object, object]] = []
        for i, entry in enumerate(estimate):
            found = coefficients(sympy.expand(entry))
            zero = sympy.Integer(0)
            sides += [
                (f"entry {i + 1}: ε⁰ is −(BHv){i + 1}", found[0], exact[i, 0]),
                (f"entry {i + 1}: ε¹ vanishes", found.get(1, zero), zero),
                (f"entry {i + 1}: ε² as predicted, not 0", found[2], predicted[i, 0]),
            ]
        return sides

    def rough_in_alpha() -> list[tuple[Fraction, Fraction]]:
        """L_train is ω²/2 at α = 0, and ∇_α L_train = ω|ω|^½ has slope 0 at ω = 0; H = u = 1."""

        def gradient(omega: Matrix) -> Matrix:
            x = omega[0, 0]
            return column(x * root(abs(x)))

        return [
            (step, formulas.mixed_difference(gradient, column(0), column(1), step)[0, 0])
            for step in (Fraction(1, 4**k) for k in range(1, 6))
        ]

    def printed_value() -> Exhibit:
        """n = m = 2, so that the printed ∇_ω L_val at least has a fitting shape."""
        u = second(loss, OMEGA) @ slope()
        printed = gradient_at(outer_loss(), OMEGA)
        estimate = -formulas.mixed_difference(printed, point, u, STEP).map(sympy.expand)
        limit = estimate.map(lambda x: sympy.cancel(x).subs(STEP, 0))
        exact = formulas.amended(second(loss, OMEGA), second(loss, ALPHA), slope(), 1)
        return Exhibit(
            {"limit with ∇_ω L_val": limit, "−BHv": exact},
            {"n = m": len(OMEGA) == len(ALPHA)},
            {"the printed line tends to −ηBHv": limit == exact},
        )

    def printed_dimension() -> Exhibit:
        """n = 2, m = 1: the printed difference is an n-vector, and g₂ has m entries."""
        estimate = formulas.mixed_difference(gradient_at(outer_loss(), OMEGA), point, slope(), STEP)
        return Exhibit(
            {"entries of the printed difference": estimate.shape[0], "m": 1},
            {"n = 2": len(OMEGA) == 2},
            {"the printed difference has m entries": estimate.shape[0] == 1},
        )

    return (
        Claim(
            id="A2",
            where="A.2",
            statement="With u = (∇_ωF(ω + εv) − ∇_ωF(ω − εv))/2ε, the difference "
            "−η(∇_αF(ω + εu) − ∇_αF(ω − εu))/2ε is −ηBHv up to O(ε²).",
            assumptions="near (ω, α) L_train has continuous ∂⁴/∂ω⁴ (for u) and ∂⁴/∂α∂ω³ (for the "
            "last difference): smoothness in ω at the one α is not enough; for kinks see T9",
            verdict=Verdict.HOLDS,
            because="On a polynomial the error is a polynomial in ε: its constant term is exact, "
            "its linear term vanishes, its ε² term is the third derivative that Taylor predicts.",
            evidence=(
                ExactIdentity("u = Hv + ε²(…), by coefficients", error_of_hessian_product),
                ExactIdentity("the whole chain, coefficient by coefficient", error_of_the_chain),
                Rate(
                    "∂⁴/∂α∂ω³ dropped: ω²/2 + αω|ω|^½ at α = 0, ω = 0 has the rate ½",
                    rough_in_alpha,
                    0.5,
                    1e-9,
                ),
            ),
            formula=r"u = Hv + O(\epsilon^2),\quad g_2' = -\eta\,B\,u + O(\epsilon^2)",
        ),
        Claim(
            id="A2e",
            where="A.2, last line",
            statement="As printed, the last difference is of ∇_ω L_val.",
            assumptions="none",
            verdict=Verdict.FAILS,
            because="A misprint: ∇_ω L_val has n entries and g₂ has m, and where n = m the value "
            "is another. It must be ∇_α L_train.",
            evidence=(
                ExactCounterexample("it has the wrong number of entries", printed_dimension),
                ExactCounterexample("and where n = m it has the wrong value", printed_value),
            ),
            formula=r"\nabla_\omega L_{val}\ \rightarrow\ \nabla_\alpha L_{train}",
        ),
    )
