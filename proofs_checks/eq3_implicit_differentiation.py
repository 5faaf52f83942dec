"""Eq. 3 and 4: differentiating ∇_ω L_train(ω*(α), α) = 0 gives ∂ω*/∂α = −H⁻¹Bᵀ."""

from __future__ import annotations

from fractions import Fraction

from proofs_checks.definitions import Formulas
from proofs_checks.evidence import ExactCounterexample, ExactIdentity, Exhibit
from proofs_checks.ledger import Claim, Verdict
from proofs_checks.rational import column, matrix
from proofs_checks.symbolic_problems import SymbolicProblem, hyperbolic, quadratic

JUMPS = "H ≻ 0 at every minimum, and the global one jumps: F = ω⁴/4 − ω²/2 − αω at α = 0"


def jumping_minimum(formulas: Formulas) -> Exhibit:
    """L_train = ω⁴/4 − ω²/2 − αω, L_val = ω. At ω = 1 + 1/k, α = ω³ − ω, the minimum is ω.

    For α > 0, ω³ − ω = α has one positive root, and F(ω) < F(−ω) there; −α has the minimum −ω.
    At α = 0 both 1 and −1 are minima.
    """
    minimisers = [1 + Fraction(1, k) for k in (10, 100, 1000)]
    alphas = [w**3 - w for w in minimisers]
    depths = [
        _double_well(w, a) - _double_well(-w, a) for w, a in zip(minimisers, alphas, strict=True)
    ]
    curvatures = [3 * w**2 - 1 for w in (Fraction(1), *minimisers)]
    quotients = [w / a for w, a in zip(minimisers, alphas, strict=True)]
    at_zero = formulas.implicit(matrix([2]), matrix([-1]), column(1))[0, 0]
    return Exhibit(
        {"α": alphas, "ω*(α) = −ω*(−α)": minimisers, "(ω*(α) − ω*(−α))/2α": quotients},
        {
            "H ≻ 0 at each of these minima, and at ±1": min(curvatures) >= 2,
            "F(ω) < F(−ω), α falls to 0": max(depths) < 0 < alphas[2] < alphas[1] < alphas[0],
            "Eq. 5 at α = 0, where H = 2, gives ½": at_zero == Fraction(1, 2),
        },
        {"the quotient stays below 400": quotients[2] < 400},
    )


def _double_well(w: Fraction, alpha: Fraction) -> Fraction:
    return w**4 / 4 - w**2 / 2 - alpha * w


def claims(formulas: Formulas) -> tuple[Claim, ...]:
    def sides(problem: SymbolicProblem) -> list[tuple[str, object, object]]:
        by_theorem = formulas.response(problem.hessian(), problem.mixed())
        return [
            ("∇_ω L_train at ω*", problem.stationarity, column(0, 0)),
            ("∂ω*/∂α", by_theorem, problem.minimiser_jacobian),
        ]

    def singular() -> Exhibit:
        """F = ω⁴/4 − αω: ω* = α^⅓ exists for every α, but at α = 0 its slope is infinite."""
        alphas = [Fraction(1, 8**k) for k in range(1, 6)]
        minimisers = [Fraction(1, 2**k) for k in range(1, 6)]
        quotients = [w / a for w, a in zip(minimisers, alphas, strict=True)]
        return Exhibit(
            {"α": alphas, "ω*(α)": minimisers, "(ω*(α) − ω*(0))/α": quotients},
            {"∇_ω F = ω³ − α = 0": all(w**3 == a for w, a in zip(minimisers, alphas, strict=True))},
            {"the quotient stays below 100": all(quotient < 100 for quotient in quotients)},
        )

    def at_zero() -> Exhibit:
        try:
            formulas.response(matrix([0]), matrix([-1]))
            exists = True
        except ZeroDivisionError:
            exists = False
        return Exhibit({"H": 0, "B": -1}, {"H is singular": True}, {"−H⁻¹Bᵀ exists": exists})

    return (
        Claim(
            id="E3–E4",
            where="Eq. 3, 4",
            statement="∂ω*/∂α = −H⁻¹Bᵀ with H = ∇²_ωω L_train, B = ∇²_αω L_train at ω*(α).",
            assumptions="ω* continuous at α, ∇_ω L_train(ω*(·), ·) = 0, H invertible at ω*(α)",
            verdict=Verdict.HOLDS,
            because="Differentiate H ∂ω*/∂α + Bᵀ = 0; checked against the derivative of ω*(α). "
            "Without an invertible H neither the formula nor the derivative need exist, and with "
            "one there is no derivative where the global minimum jumps.",
            evidence=(
                ExactIdentity("every quadratic with n = m = 2", lambda: sides(quadratic())),
                ExactIdentity("a hyperbolic, non-quadratic problem", lambda: sides(hyperbolic())),
                ExactCounterexample("H singular: F = ω⁴/4 − αω at α = 0", singular),
                ExactCounterexample("and the formula has no value there", at_zero),
                ExactCounterexample(JUMPS, lambda: jumping_minimum(formulas)),
            ),
            formula=r"\partial\omega^*/\partial\alpha = -H^{-1}B^\top",
        ),
        Claim(
            id="§3.3d",
            where="§3.3",
            statement="∂ω*/∂α is finite.",
            assumptions="H invertible at ω*(α), and ω* continuous",
            verdict=Verdict.HOLDS_IF,
            because="It is then −H⁻¹Bᵀ (E3–E4). Where H is singular it need not be finite, nor "
            "where the global minimum jumps from one place to another.",
            evidence=(
                ExactIdentity("H invertible: it is −H⁻¹Bᵀ", lambda: sides(hyperbolic())),
                ExactCounterexample("H singular: its slope has no bound", singular),
                ExactCounterexample(JUMPS, lambda: jumping_minimum(formulas)),
            ),
        ),
    )
