"""T14: when the whole estimate g₁ + g₂′ is a descent direction of Φ, not its second term alone."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from random import Random

import sympy
import z3

from proofs_checks.a1_toy import ETA, terms, toy
from proofs_checks.definitions import Formulas
from proofs_checks.evidence import (
    ExactCounterexample,
    ExactExample,
    ExactIdentity,
    Exhibit,
    PropertyTest,
    SmtProof,
)
from proofs_checks.instances import Instance, indefinite, shared
from proofs_checks.ledger import Claim, Verdict
from proofs_checks.rational import (
    Matrix,
    column,
    dot,
    matrix,
    random_column,
    random_fraction,
    square,
)


@dataclass(frozen=True)
class Total:
    """An instance with g₁ and η: the estimate, the truth, and the squared radius δ²."""

    estimate: Matrix
    truth: Matrix
    radius_squared: Fraction

    def __str__(self) -> str:
        return f"g₁ + g₂′ = {self.estimate}, ∇Φ = {self.truth}, δ² = {self.radius_squared}"


def claims(formulas: Formulas) -> tuple[Claim, ...]:
    def total(case: Instance, norm: Fraction, direct: Matrix, eta: Fraction) -> Total:
        residual = case.slope - eta * (case.hessian @ case.hessian @ case.slope)
        lowest = min(abs(x) for x in case.eigenvalues)
        return Total(
            direct + formulas.amended(case.hessian, case.mixed, case.slope, eta),
            direct + formulas.implicit(case.hessian, case.mixed, case.slope),
            Fraction(formulas.certificate_radius_squared(norm**2, square(residual), lowest)),
        )

    def drawn(rng: Random) -> Total:
        """H of any signature. A third of the draws are extremal: n = m = 1, and g₁ near −g₂."""
        eta = Fraction(rng.randint(1, 20), 40)
        if rng.random() < 1 / 3:
            h, v = Fraction(rng.randint(1, 8), 4), Fraction(rng.randint(1, 6))
            case = Instance(matrix([h]), matrix([-1]), column(v), (h,), matrix([1]))
            beside = Fraction(rng.randint(-3, 3), 100)
            return total(case, Fraction(1), column(-v / h + beside), eta)
        known = shared(rng, indefinite(rng, 3, 1), rng.choice((1, 2, 3)))
        direct = random_column(rng, len(known.instance.mixed.entries))
        return total(known.instance, known.norm, random_fraction(rng) * direct, eta)

    def bound_margin(drawn: Total) -> Fraction:
        """‖ĝ‖²δ² − ⟨ĝ, ĝ − g⟩² ≥ 0 is ⟨ĝ, g⟩ ≥ ‖ĝ‖(‖ĝ‖ − δ)."""
        gap = dot(drawn.estimate, drawn.estimate - drawn.truth)
        return Fraction(square(drawn.estimate) * drawn.radius_squared - gap**2)

    def certified(rng: Random) -> Total | None:
        found = drawn(rng)
        return found if found.radius_squared < square(found.estimate) else None

    def known_lengths(rng: Random) -> Total | None:
        """δ < |‖g₁‖ − ‖g₂‖|, by rational bounds of the two lengths: m = 1, where they are exact."""
        eta = Fraction(rng.randint(1, 20), 40)
        known = shared(rng, indefinite(rng, 3, 1), 1)
        direct = column(random_fraction(rng, 30))
        found = total(known.instance, known.norm, direct, eta)
        implicit = (found.truth - direct)[0, 0]
        apart = abs(direct[0, 0]) - abs(implicit)
        return found if found.radius_squared < apart**2 else None

    def agrees(drawn: Total) -> Fraction:
        return Fraction(dot(drawn.estimate, drawn.truth))

    def by_lengths() -> tuple[list[z3.BoolRef], z3.BoolRef]:
        """g₁ = (1, 0), in the plane of the three vectors' projections on g₁ and beside it."""
        a, b, c, d = z3.Reals("a b c d")
        return [a * a + b * b + c * c + d * d < 1], (1 + a) * (1 + c) + b * d > 0

    def lengths_are_sharp() -> Exhibit:
        direct = column(1, 0)
        implicit = column(Fraction(-9, 25), Fraction(12, 25))
        estimate = column(Fraction(-16, 25), Fraction(-12, 25))
        return Exhibit(
            {"g₁": direct, "g₂": implicit, "g₂′": estimate},
            {"‖g₂‖² + ‖g₂′‖² = ‖g₁‖²": square(implicit) + square(estimate) == square(direct)},
            {"⟨g₁ + g₂′, g₁ + g₂⟩ > 0": dot(direct + estimate, direct + implicit) > 0},
        )

    def below() -> Exhibit:
        """H = 1, B = −1, v = 1, η = ½: g₂ = 1, g₂′ = ½, δ = ½. g₁ = −99/100 against −101/100."""
        case = Instance(matrix([1]), matrix([-1]), column(1), (Fraction(1),), matrix([1]))
        found = total(case, Fraction(1), column(Fraction(-99, 100)), Fraction(1, 2))
        beyond = total(case, Fraction(1), column(Fraction(-101, 100)), Fraction(1, 2))
        return Exhibit(
            {"g₁ + g₂′": found.estimate, "g₁ + g₂": found.truth, "δ²": found.radius_squared},
            {
                "δ is 2 % above ‖g₁ + g₂′‖": found.radius_squared
                == square(found.estimate) * Fraction(50, 49) ** 2,
                "where δ is 2 % below, the sign is right": beyond.radius_squared
                < square(beyond.estimate)
                and agrees(beyond) > 0,
            },
            {"⟨g₁ + g₂′, ∇Φ⟩ ≥ 0": agrees(found) >= 0},
        )

    def best_eta() -> list[tuple[str, object, object]]:
        """‖v − ηH²v‖² is least at η = ‖Hv‖²/‖H²v‖²."""
        d, v = sympy.symbols("d1 d2", real=True), sympy.symbols("v1 v2", real=True)
        residual = [x - ETA * h**2 * x for h, x in zip(d, v, strict=True)]
        size = sum(x**2 for x in residual)
        first = sum(h**2 * x**2 for h, x in zip(d, v, strict=True))
        second = sum(h**4 * x**2 for h, x in zip(d, v, strict=True))
        return [
            ("derivative at η = ‖Hv‖²/‖H²v‖²", sympy.diff(size, ETA).subs(ETA, first / second), 0),
            ("second derivative", sympy.diff(size, ETA, 2), 2 * second),
        ]

    def on_the_toy() -> Exhibit:
        """A.1: H = 2, B = −2, v = 4α; δ = 4|1 − 4η||α| < |16η − 2||α| for η > 3/16."""
        (alpha,) = toy().alpha
        found: dict[str, bool] = {}
        for eta in (sympy.Rational(19, 100), sympy.Rational(1, 4), sympy.Integer(1)):
            direct, implicit, amended = (
                term[0, 0].subs({ETA: eta, alpha: 1}) for term in terms(formulas)
            )
            radius = sympy.sqrt(formulas.certificate_radius_squared(4, (4 * (1 - 4 * eta)) ** 2, 2))
            found[f"η = {eta}: certified"] = bool(radius < abs(direct + amended))
            found[f"η = {eta}: right"] = bool((direct + amended) * (direct + implicit) > 0)
        return Exhibit({"η": "19/100, 1/4, 1"}, {"α = 1": True}, found)

    return (
        Claim(
            id="T14",
            where="new; when MAIN holds",
            statement="Let r = v − ηH·Hv, |λ(H)| ≥ μ and δ = ‖B‖‖r‖/μ. Then ⟨g₁ + g₂′, ∇Φ⟩ ≥ "
            "‖g₁ + g₂′‖(‖g₁ + g₂′‖ − δ): the amended total descends if δ < ‖g₁ + g₂′‖, and also if "
            "δ < |‖g₁‖ − ‖g₂‖|, or if ‖g₂‖² + ‖g₂′‖² < ‖g₁‖². δ is least at η = ‖Hv‖²/‖H²v‖².",
            assumptions="ω = ω*(α), H invertible, μ and ‖B‖ true bounds",
            verdict=Verdict.HOLDS,
            because="g₂′ − g₂ = BH⁻¹r has norm ≤ δ, so ∇Φ lies in a ball round the estimate that "
            "does not hold 0. In the last case both totals make angles to g₁ whose sines have "
            "squares that add up to less than 1. No smaller bounds will do.",
            evidence=(
                PropertyTest("the inequality, on all instances", drawn, bound_margin),
                PropertyTest("δ < ‖g₁ + g₂′‖ ⇒ right", certified, agrees, strict=True, seed=1),
                PropertyTest(
                    "δ < |‖g₁‖ − ‖g₂‖| ⇒ right, m = 1", known_lengths, agrees, strict=True, seed=2
                ),
                SmtProof("‖g₂‖² + ‖g₂′‖² < ‖g₁‖² ⇒ right, in the plane", by_lengths),
                ExactCounterexample("and with equality it can be 0", lengths_are_sharp),
                ExactCounterexample("δ 2 % above ‖g₁ + g₂′‖: wrong", below),
                ExactIdentity("the η of the least residual", best_eta),
                ExactExample("on A.1: certified and right", on_the_toy),
            ),
            formula=r"\|B\|\,\|v-\eta H^2v\|<\mu\,\|g_1+g_2'\|\ \Rightarrow\ "
            r"\langle g_1+g_2',\nabla\Phi\rangle>0",
        ),
    )
