"""Two facts about η: it has units of 1/curvature², and Eq. 7 would not give the sign of the sum."""

from __future__ import annotations

from fractions import Fraction

import sympy

from proofs_checks.a1_toy import ETA, terms, toy
from proofs_checks.definitions import Formulas
from proofs_checks.eq6_amended import symbols
from proofs_checks.evidence import ExactCounterexample, ExactExample, ExactIdentity, Exhibit
from proofs_checks.ledger import Claim, Verdict


def claims(formulas: Formulas) -> tuple[Claim, ...]:
    def scaling() -> list[tuple[str, object, object]]:
        hessian, mixed, slope = symbols()
        c, eta = sympy.symbols("c eta", positive=True)
        scaled = (c * hessian, c * mixed, slope)
        same = formulas.implicit(hessian, mixed, slope)
        amended = formulas.amended(hessian, mixed, slope, eta)
        darts = formulas.darts(mixed, slope, eta)
        return [
            ("g₂ of c·L_train", formulas.implicit(*scaled), same),
            ("g₂′ of c·L_train", formulas.amended(*scaled, eta), c**2 * amended),
            ("g₂′ with η/c²", formulas.amended(*scaled, eta / c**2), amended),
            ("DARTS of c·L_train", formulas.darts(c * mixed, slope, eta), c * darts),
        ]

    def total() -> list[tuple[str, object, object]]:
        (alpha,) = toy().alpha
        direct, implicit, amended = terms(formulas)
        estimate, tenth = (direct + amended)[0, 0], sympy.Rational(1, 10)
        return [
            ("truth g₁ + g₂", (direct + implicit)[0, 0], 2 * alpha),
            ("g₁ + g₂′", estimate, 2 * alpha * (8 * ETA - 1)),
            ("at η = 1/10", estimate.subs(ETA, tenth), -4 * tenth * alpha),
            ("at η = 1/8", estimate.subs(ETA, sympy.Rational(1, 8)), sympy.Integer(0)),
            ("at η = 1", estimate.subs(ETA, 1), 14 * alpha),
        ]

    def at(eta: Fraction) -> Exhibit:
        (alpha,) = toy().alpha
        value = sympy.Rational(eta.numerator, eta.denominator)
        direct, implicit, amended = (
            term[0, 0].subs({ETA: value, alpha: 1}) for term in terms(formulas)
        )
        return Exhibit(
            {"η": eta, "g₁ + g₂": direct + implicit, "g₁ + g₂′": direct + amended},
            {"⟨g₂′, g₂⟩ > 0: Eq. 7 holds": implicit * amended > 0},
            {"g₁ + g₂′ has the sign of g₁ + g₂": (direct + amended) * (direct + implicit) > 0},
        )

    return (
        Claim(
            id="ETA1",
            where="new",
            statement="η has units of 1/curvature²: multiplying L_train by c leaves g₂ unchanged "
            "and multiplies g₂′ by c².",
            assumptions="none",
            verdict=Verdict.HOLDS,
            because="H and B both scale with c: BH⁻¹v does not, BHv does twice. So η = 0.1 "
            "belongs to one loss in one scale.",
            evidence=(ExactIdentity("all entries symbols, n = 3, m = 2", scaling),),
            formula=r"L_{train}\to c\,L_{train}:\quad g_2\to g_2,\quad g_2'\to c^2 g_2'",
        ),
        Claim(
            id="ETA2",
            where="new",
            statement="Where Eq. 7 holds, g₁ + g₂′ has the sign of g₁ + g₂.",
            assumptions="toy A.1, where n = 1 and Eq. 7 holds",
            verdict=Verdict.FAILS,
            because="On A.1 the truth is 2α and the amended total is (16η − 2)α: right only for "
            "η > 1/8; η = 1 gives 14α. The paper never ran A.1 with its η = 0.1, which is for "
            "networks: the fair evidence is R4, where the amended total with η = 0.1 is wrong more "
            "often than g₁ alone. T14 gives a condition under which the total is right.",
            evidence=(
                ExactIdentity("the amended total on A.1, for every η", total),
                ExactCounterexample(
                    "η = 1/10, as an example: wrong sign", lambda: at(Fraction(1, 10))
                ),
                ExactExample("η = 1: right sign, seven times too long", lambda: at(Fraction(1))),
            ),
            formula=r"g_1+g_2' = (16\,\eta-2)\,\alpha",
        ),
    )
