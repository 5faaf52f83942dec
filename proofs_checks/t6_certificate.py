"""T6: a certificate of the angle that can be checked at run time."""

from __future__ import annotations

from fractions import Fraction
from math import isqrt
from random import Random

import z3

from proofs_checks.certificate import Certificate, certify
from proofs_checks.definitions import Formulas
from proofs_checks.evidence import (
    ExactCounterexample,
    ExactExample,
    Exhibit,
    PropertyTest,
    SmtProof,
)
from proofs_checks.instances import Instance, definite, indefinite
from proofs_checks.ledger import Claim, Verdict
from proofs_checks.rational import (
    Matrix,
    column,
    diagonal,
    dot,
    identity,
    matrix,
    random_fraction,
    root,
    square,
)

Drawn = tuple[Instance, Matrix, Certificate]


def claims(formulas: Formulas) -> tuple[Claim, ...]:
    def frobenius(mixed: Matrix) -> Fraction:
        return Fraction((mixed.T @ mixed).trace())

    def refined(case: Instance, steps: int) -> Matrix:
        lowest = min(abs(x) for x in case.eigenvalues)
        largest = max(abs(x) for x in case.eigenvalues)
        eta = 2 / (lowest**2 + largest**2)
        return formulas.landweber(case.hessian, case.slope, eta, steps)

    def certificate_at(case: Instance, q: Matrix) -> Certificate | None:
        """The certificate of q with the smallest curvature known, and ‖B‖ bounded."""
        return certify(
            formulas,
            case.hessian,
            case.mixed,
            case.slope,
            q,
            lowest=min(abs(x) for x in case.eigenvalues),
            norm_squared=frobenius(case.mixed),
        )

    def certified(rng: Random) -> Drawn | None:
        """Any invertible H; q the truth disturbed, or K Landweber steps; kept where certified."""
        case = indefinite(rng, 3, rng.choice((1, 2)))
        if rng.random() < 0.5:
            q = refined(case, rng.randint(1, 6))
        else:
            noise = Matrix.of([random_fraction(rng) / 20] for _ in range(3))
            q = case.hessian.inverse() @ case.slope + noise
        found = certificate_at(case, q)
        return None if found is None else (case, q, found)

    def product(drawn: Drawn) -> Fraction:
        case, q, _ = drawn
        return Fraction(dot(case.mixed @ q, _truth(case)))

    def _truth(case: Instance) -> Matrix:
        return -formulas.implicit(case.hessian, case.mixed, case.slope)

    def sine_margin(drawn: Drawn) -> Fraction:
        case, q, found = drawn
        x, y = case.mixed @ q, _truth(case)
        return Fraction(found.sine_squared - 1 + dot(x, y) ** 2 / (square(x) * square(y)))

    def error_margin(drawn: Drawn) -> Fraction:
        """(δ/(‖Bq‖ − δ))²‖By‖² − ‖Bq − By‖², with ‖Bq‖ rounded down and δ up at 12 digits."""
        case, q, found = drawn
        x, y = case.mixed @ q, _truth(case)
        digits = 10**12
        norm = Fraction(isqrt(int(found.norm_squared * digits**2)), digits)
        radius = Fraction(isqrt(int(found.radius_squared * digits**2)) + 1, digits)
        if radius >= norm:
            return Fraction(0)
        allowed = formulas.certified_error(norm, radius) ** 2 * square(y)
        return Fraction(allowed - square(x - y))

    def smt() -> tuple[list[z3.BoolRef], z3.BoolRef]:
        """In the plane of Bq and BH⁻¹v: ‖e‖ ≤ δ < ‖Bq‖ ⇒ ⟨Bq, Bq + e⟩ ≥ ‖Bq‖(‖Bq‖ − δ) > 0."""
        norm, radius, along, across = z3.Reals("norm radius along across")
        product = norm * (norm + along)
        return (
            [radius >= 0, radius < norm, along * along + across * across <= radius * radius],
            z3.And(product >= norm * (norm - radius), product > 0),
        )

    def tight_sine() -> Exhibit:
        """H = B = I: the error is at right angles to the truth, 3-4-5."""
        hessian, truth = identity(2), column(4, 0)
        q = column(4, 3)
        found = certify(
            formulas, hessian, identity(2), truth, q, lowest=Fraction(1), norm_squared=Fraction(1)
        )
        assert found is not None
        sine_squared = 1 - dot(q, truth) ** 2 / (square(q) * square(truth))
        return Exhibit(
            {"q": q, "v": truth, "δ²": found.radius_squared, "certified sin²": found.sine_squared},
            {"certified": True},
            {"sin²∠ is exactly what is certified, 9/25": sine_squared == found.sine_squared},
        )

    def tight_error() -> Exhibit:
        """The error along q: the relative error is exactly δ/(‖Bq‖ − δ)."""
        hessian, truth, q = identity(2), column(3, 0), column(4, 0)
        found = certify(
            formulas, hessian, identity(2), truth, q, lowest=Fraction(1), norm_squared=Fraction(1)
        )
        assert found is not None
        norm, radius = root(found.norm_squared), root(found.radius_squared)
        error = Fraction(square(q - truth)) / square(truth)
        return Exhibit(
            {"q": q, "v": truth, "δ": radius, "error²": error},
            {"certified": True},
            {"the error is δ/(‖Bq‖ − δ)": formulas.certified_error(norm, radius) ** 2 == error},
        )

    def tight_radius() -> Exhibit:
        """The residual along the lowest eigenvector, B seeing it whole: ‖B(H⁻¹v − q)‖ = δ."""
        hessian, mixed, slope, q = (
            diagonal(Fraction(1, 4), 1),
            diagonal(3, 1),
            column(1, 1),
            column(2, 1),
        )
        radius = formulas.certificate_radius_squared(9, square(slope - hessian @ q), Fraction(1, 4))
        error = -formulas.implicit(hessian, mixed, slope) - mixed @ q
        return Exhibit(
            {"H": hessian, "B": mixed, "v": slope, "q": q, "δ²": radius},
            {"‖B‖ = 3, μ = 1/4": True},
            {"‖BH⁻¹v − Bq‖ = δ": square(error) == radius},
        )

    def at_the_boundary() -> Exhibit:
        """δ = ‖Bq‖: the truth may vanish, so the bound cannot be relaxed."""
        hessian, mixed, slope, q = identity(2), matrix([1, 0]), column(0, 1), column(1, 1)
        found = certify(
            formulas, hessian, mixed, slope, q, lowest=Fraction(1), norm_squared=Fraction(1)
        )
        truth = -formulas.implicit(hessian, mixed, slope)
        return Exhibit(
            {"q": q, "BH⁻¹v": truth, "‖Bq‖": 1, "δ": 1},
            {"δ = ‖Bq‖": square(mixed @ q) == square(slope - q)},
            {"⟨Bq, BH⁻¹v⟩ > 0": dot(mixed @ q, truth) > 0, "it is certified": found is not None},
        )

    def false_lowest() -> Exhibit:
        """With μ = 1 where the spectrum reaches down to 1/10, the check would pass wrongly."""
        hessian, mixed = diagonal(Fraction(1, 10), 1), matrix([1, 1])
        slope, q = column(Fraction(-1, 5), 1), column(0, 1)
        truth = -formulas.implicit(hessian, mixed, slope)
        radius = formulas.certificate_radius_squared(2, square(slope - hessian @ q), Fraction(1))
        try:
            certify(
                formulas, hessian, mixed, slope, q, lowest=Fraction(1), norm_squared=Fraction(2)
            )
            refused = False
        except ValueError:
            refused = True
        return Exhibit(
            {"H": hessian, "B": mixed, "v": slope, "q": q, "BH⁻¹v": truth, "δ² with μ = 1": radius},
            {"δ < ‖Bq‖ with the false μ": radius < square(mixed @ q), "refused": refused},
            {"⟨Bq, BH⁻¹v⟩ > 0": dot(mixed @ q, truth) > 0},
        )

    def false_norm() -> Exhibit:
        hessian, mixed = identity(2), matrix([1, 10])
        slope, q = column(1, Fraction(-1, 5)), column(1, 0)
        truth = -formulas.implicit(hessian, mixed, slope)
        radius = formulas.certificate_radius_squared(1, square(slope - q), Fraction(1))
        return Exhibit(
            {"B": mixed, "v": slope, "q": q, "BH⁻¹v": truth, "δ² with ‖B‖ = 1": radius},
            {"δ < ‖Bq‖ with the false ‖B‖": radius < square(mixed @ q)},
            {"⟨Bq, BH⁻¹v⟩ > 0": dot(mixed @ q, truth) > 0},
        )

    def reached(rng: Random) -> Instance | None:
        case = definite(rng, 3, 1)
        return case if square(_truth(case)) > 1 and case.condition <= 3 else None

    def enough_steps(case: Instance) -> int:
        """Doubling K, the certificate is reached: for each H, B, v with g₂ ≠ 0."""
        steps = 1
        while steps <= 128:
            q = refined(case, steps).map(lambda x: Fraction(round(x * 10**15), 10**15))
            if certificate_at(case, q) is not None:
                return 1
            steps *= 2
        return -1

    return (
        Claim(
            id="T6",
            where="new",
            statement="Let r = v − Hq and |λ(H)| ≥ μ > 0, δ = ‖B‖‖r‖/μ. If δ < ‖Bq‖ then "
            "⟨Bq, BH⁻¹v⟩ ≥ ‖Bq‖(‖Bq‖ − δ) > 0, sin∠(Bq, BH⁻¹v) ≤ δ/‖Bq‖, and the relative error "
            "of g₂ is ≤ δ/(‖Bq‖ − δ).",
            assumptions="H symmetric, of any signature; μ and ‖B‖ true bounds",
            verdict=Verdict.HOLDS,
            because="B(H⁻¹v − q) = BH⁻¹r has norm at most δ. The guarantee that Eq. 7 wanted "
            "holds at every step that is certified; every bound is tight.",
            evidence=(
                SmtProof("the inequality, in the plane of Bq and BH⁻¹v", smt),
                PropertyTest(
                    "certified ⇒ ⟨Bq, BH⁻¹v⟩ > 0, H of any signature",
                    certified,
                    product,
                    strict=True,
                ),
                PropertyTest("certified ⇒ the sine is no larger", certified, sine_margin, 100, 1),
                PropertyTest("certified ⇒ the error is no larger", certified, error_margin, 100, 2),
                PropertyTest(
                    "Landweber steps reach it for every H ≻ 0 tried, g₂ ≠ 0",
                    reached,
                    enough_steps,
                    count=15,
                    seed=3,
                ),
                ExactExample("the radius δ is attained", tight_radius),
                ExactExample("the bound on the sine is attained", tight_sine),
                ExactExample("the bound on the error is attained", tight_error),
                ExactCounterexample("δ = ‖Bq‖ is not enough", at_the_boundary),
                ExactCounterexample("a false μ would certify a wrong sign; refused", false_lowest),
                ExactCounterexample("a false ‖B‖ would certify a wrong sign", false_norm),
            ),
            formula=r"\delta=\|B\|\,\|v-Hq\|/\mu<\|Bq\|\ \Rightarrow\ "
            r"\sin\angle(Bq,BH^{-1}v)\leq\delta/\|Bq\|",
        ),
    )
