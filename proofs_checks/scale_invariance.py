"""T13: weights before a batch norm leave H singular or indefinite; where ω* exists all the same."""

from __future__ import annotations

from fractions import Fraction

import sympy

from proofs_checks.definitions import Formulas
from proofs_checks.evidence import (
    ExactCounterexample,
    ExactExample,
    ExactIdentity,
    Exhibit,
)
from proofs_checks.ledger import Claim, Verdict

X, Y, A, B = sympy.symbols("x y a b", real=True)
DECAY = sympy.Symbol("lambda", positive=True)
ALPHA, LENGTH = sympy.symbols("alpha ell", positive=True)
SHORT, EPSILON = sympy.symbols("s epsilon", positive=True)


def loss() -> sympy.Expr:
    """A loss of the direction of w = (x, y) alone, as batch norm with ε = 0 makes it."""
    return (A * X**2 + B * X * Y) / (X**2 + Y**2)


def steered() -> tuple[sympy.Expr, sympy.Expr, dict[sympy.Symbol, sympy.Expr]]:
    """L_train, L_val of the direction of w, and ω*(α) of length ℓ: the direction α asks for.

    L_train = sin² of the angle between w and (1 − α², 2α); L_val = cos² of that between w and e₁.
    """
    ahead, side = (1 - ALPHA**2) / (1 + ALPHA**2), 2 * ALPHA / (1 + ALPHA**2)
    train = (X * side - Y * ahead) ** 2 / (X**2 + Y**2)
    return train, X**2 / (X**2 + Y**2), {X: LENGTH * ahead, Y: LENGTH * side}


def claims(formulas: Formulas) -> tuple[Claim, ...]:
    w = sympy.Matrix([X, Y])
    gradient = sympy.Matrix([sympy.diff(loss(), v) for v in (X, Y)])
    hessian = sympy.hessian(loss(), (X, Y))

    def identities() -> list[tuple[str, object, object]]:
        decayed = gradient + DECAY * w
        return [
            ("⟨∇L, w⟩", sympy.cancel((gradient.T * w)[0]), sympy.Integer(0)),
            ("⟨∇(L + ½λ‖w‖²), w⟩", sympy.cancel((decayed.T * w)[0]), DECAY * (X**2 + Y**2)),
            *((f"(∇²L w){i + 1} = −(∇L){i + 1}", (hessian * w)[i], -gradient[i]) for i in range(2)),
            ("wᵀ∇²L w", sympy.cancel((w.T * hessian * w)[0]), sympy.Integer(0)),
        ]

    def indefinite() -> Exhibit:
        at = {X: 1, Y: 1, A: 1, B: 0}
        point = hessian.subs(at)
        return Exhibit(
            {"H": str(point.tolist()), "∇L": str(gradient.subs(at).T.tolist())},
            {"∇L ≠ 0": bool(gradient.subs(at).norm() != 0)},
            {"H ⪰ 0": bool(point.det() >= 0)},
        )

    def pseudo_inverse() -> list[tuple[str, object, object]]:
        """Eq. 5 with H⁺, for every α and every length ℓ of ω*."""
        train, val, optimum = steered()
        slopes = sympy.Matrix([sympy.diff(train, z) for z in (X, Y)])
        point = sympy.hessian(train, (X, Y)).subs(optimum).applyfunc(sympy.cancel)
        mixed = sympy.diff(slopes, ALPHA).T.subs(optimum).applyfunc(sympy.cancel)
        slope = sympy.Matrix([sympy.diff(val, z) for z in (X, Y)]).subs(optimum)
        slope = slope.applyfunc(sympy.cancel)
        # rank one: H⁺ = H/(tr H)²
        inverse = point / point.trace() ** 2
        truth = sympy.diff(val.subs(optimum), ALPHA)
        kernel = sympy.Matrix([optimum[X], optimum[Y]])
        zero = sympy.Integer(0)
        return [
            (
                "∇_w L_train at ω*",
                sympy.cancel(slopes.subs(optimum).dot(slopes.subs(optimum))),
                zero,
            ),
            ("det H", sympy.cancel(point.det()), zero),
            ("Bw, for L_train shares the invariance", sympy.cancel((mixed * kernel)[0]), zero),
            ("⟨v, w⟩, for L_val does", sympy.cancel(slope.dot(kernel)), zero),
            ("−BH⁺v = ∇Φ", sympy.cancel(-(mixed * inverse * slope)[0]), sympy.cancel(truth)),
        ]

    def not_shared() -> Exhibit:
        """L_val = x² feels the length: Φ depends on which ω* is taken, and v leaves range H."""
        train, _, optimum = steered()
        at = {ALPHA: sympy.Rational(1, 2)}
        values = [(optimum[X] ** 2).subs({**at, LENGTH: size}) for size in (1, 2)]
        slope = 2 * optimum[X] * optimum[X]
        return Exhibit(
            {"L_val at ω* of length 1 and 2": values},
            {"both are minima: L_train = 0": sympy.cancel(train.subs(optimum)) == 0},
            {
                "Φ is one number": values[0] == values[1],
                "⟨v, w⟩ = 0": bool(slope.subs({**at, LENGTH: 1}) == 0),
            },
        )

    def short_minimum() -> list[tuple[str, object, object]]:
        """Along a ray, s = ‖w‖²: L = ε/(s + ε) stands for a norm with ε > 0; decay λ."""
        total = EPSILON / (SHORT + EPSILON) + DECAY * SHORT / 2
        at = {SHORT: sympy.sqrt(2 * EPSILON / DECAY) - EPSILON}
        return [
            ("∂/∂s at s = √(2ε/λ) − ε", sympy.diff(total, SHORT).subs(at), sympy.Integer(0)),
            (
                "∂²/∂s² there",
                sympy.diff(total, SHORT, 2).subs(at) ** 2,
                (DECAY**3 / (2 * EPSILON)),
            ),
        ]

    def exists(epsilon: Fraction) -> Exhibit:
        """λ = 1: whether ε/(s + ε) + s/2 is stationary at its would-be minimum s > 0."""
        value = sympy.Rational(epsilon.numerator, epsilon.denominator)
        total = value / (SHORT + value) + SHORT / 2
        found = sympy.solve(sympy.diff(total, SHORT), SHORT)
        inside = [s for s in found if s > 0]
        return Exhibit(
            {"ε": epsilon, "‖w‖² at the minimum": str(inside)},
            {"λ > 0": True, "L ≥ 0": True},
            {"a stationary point with w ≠ 0 exists": bool(inside)},
        )

    def no_decay() -> Exhibit:
        """(d) with λ = 0: ε/(s + ε) falls at every s, towards a 0 that it does not reach."""
        loss = EPSILON / (SHORT + EPSILON)
        slope = sympy.diff(loss, SHORT)
        return Exhibit(
            {"L": str(loss), "∂L/∂s": str(sympy.factor(slope))},
            {"ε > 0, L ≥ 0": True, "L → 0 as s → ∞": sympy.limit(loss, SHORT, sympy.oo) == 0},
            {"L is 0 somewhere": bool(sympy.solve(loss, SHORT)), "L rises": bool(slope > 0)},
        )

    return (
        Claim(
            id="T13",
            where="new",
            statement="Let L not change with the length of a block w ≠ 0. (a) L + ½λ‖w‖², λ > 0, "
            "has no stationary point with w ≠ 0. (b) The Hessian of L is indefinite where "
            "∇_wL ≠ 0, singular elsewhere. (c) With λ = 0 and L_val of the same invariance, Eq. 5 "
            "with the pseudo-inverse H⁺ is exact where ker H is that direction alone. (d) With "
            "decay on all weights, ε > 0 in the norm and L ≥ 0 continuous, a minimiser exists.",
            assumptions="weights before a batch norm: ε = 0 in (a) to (c)",
            verdict=Verdict.HOLDS,
            because="L(cw) = L(w) gives ⟨∇L, w⟩ = 0 and ∇²L w = −∇L, hence (a) and (b). For (c) "
            "it gives Bw = 0 and ⟨v, w⟩ = 0: all solutions of Hq = v have one Bq. For (d) the loss "
            "is coercive. So with decay Eq. 3 to 5 lack an ω* only for ε = 0. Without decay they "
            "can lack one for any ε.",
            evidence=(
                ExactIdentity("Euler's identities, in symbols", identities),
                ExactCounterexample("∇L ≠ 0: H is not semi-definite", indefinite),
                ExactIdentity("(c): Eq. 5 with H⁺, for every α and length of ω*", pseudo_inverse),
                ExactCounterexample("(c) without L_val's invariance: Φ is no function", not_shared),
                ExactIdentity(
                    "(d): along a ray the minimum is at ‖w‖² = √(2ε/λ) − ε", short_minimum
                ),
                ExactExample("(d): ε = 1/50, λ = 1", lambda: exists(Fraction(1, 50))),
                ExactCounterexample("(a): ε = 0, λ = 1", lambda: exists(Fraction(0))),
                ExactCounterexample("(d) with λ = 0: no minimum, whatever ε", no_decay),
            ),
            formula=r"\nabla^2L\,w=-\nabla L,\qquad\langle\nabla F,w\rangle=\lambda\|w\|^2",
        ),
    )
