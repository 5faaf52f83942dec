"""§3.4 and footnote 2: ω in place of ω*(α), and whether Eq. 5 becomes useless by it."""

from __future__ import annotations

from fractions import Fraction
from random import Random

import sympy

from proofs_checks.definitions import Formulas
from proofs_checks.evidence import ExactCounterexample, ExactIdentity, Exhibit, PropertyTest
from proofs_checks.ledger import Claim, Verdict
from proofs_checks.rational import (
    Matrix,
    column,
    diagonal,
    is_definite,
    matrix,
    random_matrix,
    random_spectrum,
    square,
    with_spectrum,
)

Case = tuple[Matrix, Matrix, Fraction]


def near_a_definite_one(rng: Random) -> Case:
    """H ≻ 0 with λ_min = μ, and H + E with a symmetric E, ‖E‖_F < μ, as H at a near ω is."""
    spectrum = [Fraction(x) for x in random_spectrum(rng, 3)]
    hessian = with_spectrum(rng, spectrum)
    change = random_matrix(rng, 3, 3)
    change = change + change.T
    size = sum(x * x for x in change)
    lowest = min(spectrum)
    scale = Fraction(1)
    while scale * scale * size >= lowest * lowest:
        scale /= 2
    return hessian, scale * change, lowest


def claims(formulas: Formulas) -> tuple[Claim, ...]:
    def still_definite(case: Case) -> Fraction:
        hessian, change, _ = case
        return Fraction(1 if is_definite(hessian + change) else -1)

    def error_is_linear() -> list[tuple[str, object, object]]:
        """L_train with H and B, L_val with the Hessian W and the mixed part D; ω = ω* + t d."""
        t = sympy.Symbol("t", real=True)
        hessian, mixed = matrix([2, 1], [1, 1]), matrix([1, 0])
        outer, across, slope = matrix([3, 1], [1, 2]), matrix([1, -1]), column(0, 1)
        away = column(1, 2)

        def estimate(step: object) -> Matrix:
            here = slope + step * (outer @ away)
            return step * (across @ away) + formulas.implicit(hessian, mixed, here)

        truth = formulas.implicit(hessian, mixed, slope)
        unit = estimate(sympy.Integer(1)) - truth
        return [
            ("error at ω* + t d over that at ω* + d", (estimate(t) - truth)[0, 0], t * unit[0, 0])
        ]

    def amended_keeps_its_error() -> Exhibit:
        """At ω_est = ω*: nothing is lost by Eq. 5, and the amended term is as far off as ever."""
        hessian, mixed, slope = matrix([2, 1], [1, 1]), matrix([1, 0]), column(0, 1)
        truth = formulas.implicit(hessian, mixed, slope)
        amended = formulas.amended(hessian, mixed, slope, Fraction(1, 10))
        return Exhibit(
            {
                "g₂": truth,
                "error of Eq. 5 at ω*": 0,
                "error of g₂′ at ω* (η = 1/10)": amended - truth,
            },
            {"g₂ = 1": truth == column(1)},
            {"g₂′ is as accurate as Eq. 5 at ω*": square(amended - truth) == 0},
        )

    def large_constant() -> list[tuple[str, object, object]]:
        """What is true of the footnote: a small λ_min makes the factor large."""
        small = Fraction(1, 1000)
        hessian, mixed = diagonal(1, small), matrix([0, 1])
        away = column(0, small)  # ω − ω*, with W = I
        return [
            (
                "‖ω − ω*‖ = 1/1000 moves g₂ by",
                formulas.implicit(hessian, mixed, away)[0, 0],
                Fraction(-1),
            )
        ]

    def one_step_nearer() -> Exhibit:
        """L_train = ½ωᵀHω, ω* = 0: a gradient step of 1/4 comes nearer, as DARTS's ω′ does."""
        hessian, omega = matrix([2, 1], [1, 1]), column(1, 1)
        ahead = omega - Fraction(1, 4) * (hessian @ omega)
        return Exhibit(
            {"ω": omega, "ω′": ahead, "‖ω‖²": square(omega), "‖ω′‖²": square(ahead)},
            {"H ≻ 0": is_definite(hessian)},
            {"ω is at least as near to ω*": square(omega) <= square(ahead)},
        )

    return (
        Claim(
            id="§3.4h",
            where="§3.4",
            statement="No stand-in for ω*(α) is more accurate than the current ω.",
            assumptions="no further gradient of L_train is taken",
            verdict=Verdict.HOLDS_IF,
            because="It is the best that costs nothing. One more step of ω, for one more gradient, "
            "is nearer where L_train is convex and the step short; DARTS's second order takes its "
            "slope there.",
            evidence=(ExactCounterexample("one gradient step is nearer", one_step_nearer),),
        ),
        Claim(
            id="FN2",
            where="Footnote 2",
            statement="H⁻¹ need not exist off ω*(α), so that Eq. 5 can be inaccurate however near "
            "ω_est is to ω*(α), and g₂′ suits an approximate ω better.",
            assumptions="L_train is C², H ≻ 0 at ω*(α)",
            verdict=Verdict.FAILS,
            because="H is continuous, so that it stays invertible near ω*, and the error of Eq. 5 "
            "falls to 0 in proportion to ‖ω_est − ω*‖ (T7, where it is measured; E5). The amended "
            "term moves as little, but its error does not fall to 0. What is true: the factor "
            "grows as λ_min(H) falls.",
            evidence=(
                PropertyTest(
                    "H + E is definite for every ‖E‖ < λ_min(H)",
                    near_a_definite_one,
                    still_definite,
                ),
                ExactIdentity("quadratic losses: the error of Eq. 5 is linear", error_is_linear),
                ExactCounterexample("at ω* itself g₂′ keeps its error", amended_keeps_its_error),
                ExactIdentity("a factor of 1000 at λ_min = 1/1000", large_constant),
            ),
        ),
    )
