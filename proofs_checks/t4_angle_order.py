"""T4: for H ≻ 0, DARTS's direction is never further from H⁻¹v than amended's."""

from __future__ import annotations

from fractions import Fraction
from random import Random

import sympy
import z3

from proofs_checks.definitions import Formulas
from proofs_checks.evidence import (
    ExactCounterexample,
    ExactExample,
    ExactIdentity,
    Exhibit,
    PropertyTest,
    SmtProof,
)
from proofs_checks.instances import (
    Instance,
    agreement,
    columns,
    darts_agreement,
    definite,
)
from proofs_checks.ledger import Claim, Verdict
from proofs_checks.rational import (
    Matrix,
    column,
    diagonal,
    dot,
    matrix,
    parallel,
    square,
)


def moment(hessian: Matrix, slope: Matrix, k: int) -> Fraction:
    """m_k = vᵀHᵏv."""
    power = hessian.power(k) if k >= 0 else hessian.inverse().power(-k)
    return Fraction(dot(slope, power @ slope))


def squared_cosine(x: Matrix, y: Matrix) -> Fraction:
    return Fraction(dot(x, y) ** 2 / (square(x) * square(y)))


def claims(formulas: Formulas) -> tuple[Claim, ...]:
    return order_of_angles(formulas), order_of_products(formulas)


def order_of_angles(formulas: Formulas) -> Claim:
    def instance(rng: Random) -> Instance:
        """A quarter of the draws have v an eigenvector."""
        case = definite(rng, 3, 1)
        if rng.random() < 0.25:
            slope = columns(case.eigenvectors, 1)
            return Instance(case.hessian, case.mixed, slope, case.eigenvalues, case.eigenvectors)
        return case

    def convexity(case: Instance) -> Fraction:
        moments = (moment(case.hessian, case.slope, k) for k in (-1, 0, 2))
        return Fraction(formulas.log_convexity(*moments))

    def equal_on_eigenvectors() -> list[tuple[str, object, object]]:
        """m_k = λᵏ‖v‖² there; and the margin is homogeneous, of degree 6 in v and 0 in H."""
        eigenvalue, length, t, c = sympy.symbols("lambda nu t c", positive=True)
        a, b, d = sympy.symbols("m_minus m_0 m_2", positive=True)
        margin = formulas.log_convexity(a, b, d)
        return [
            (
                "v an eigenvector",
                formulas.log_convexity(length / eigenvalue, length, length * eigenvalue**2),
                sympy.Integer(0),
            ),
            ("v → tv", formulas.log_convexity(t**2 * a, t**2 * b, t**2 * d), t**6 * margin),
            ("H → cH", formulas.log_convexity(a / c, b, c**2 * d), margin),
        ]

    def cosines(case: Instance) -> tuple[Fraction, Fraction]:
        """cos²∠(v, H⁻¹v) and cos²∠(Hv, H⁻¹v), from the estimators with B = I."""
        n = case.hessian.shape[0]
        eye = diagonal(*[1] * n)
        truth = formulas.implicit(case.hessian, eye, case.slope)
        darts = formulas.darts(eye, case.slope, 1)
        amended = formulas.amended(case.hessian, eye, case.slope, 1)
        return squared_cosine(darts, truth), squared_cosine(amended, truth)

    def nearer(case: Instance) -> Fraction:
        darts, amended = cosines(case)
        return darts - amended

    def equality(case: Instance) -> int:
        same = nearer(case) == 0
        return 1 if same == parallel(case.slope, case.hessian @ case.slope) else -1

    def with_square_condition(rng: Random) -> Instance:
        """κ a perfect square, so that √κ is rational."""
        low, half = Fraction(rng.randint(1, 9), 4), rng.randint(1, 6)
        between = low + (low * half**2 - low) * Fraction(rng.randint(0, 8), 8)
        case = definite(rng, 3, 1)
        q = case.eigenvectors
        spectrum = (low, between, low * half**2)
        hessian = q @ diagonal(*spectrum) @ q.T
        return Instance(hessian, case.mixed, case.slope, spectrum, q)

    def floors(case: Instance) -> Fraction:
        darts, amended = cosines(case)
        kappa = case.condition
        return Fraction(
            min(
                darts - formulas.darts_cosine_floor(kappa) ** 2,
                amended - formulas.amended_cosine_floor(kappa) ** 2,
            )
        )

    def tight() -> list[tuple[str, object, object]]:
        """H = diag(1, k²): v = (1, k) for DARTS and v = (1, 1) for amended."""
        sides: list[tuple[str, object, object]] = []
        for k in (2, 3, 10, 100):
            hessian, kappa = diagonal(1, k**2), Fraction(k**2)
            worst_darts, worst_amended = column(1, k), column(1, 1)
            sides += [
                (
                    f"cos²∠(v, H⁻¹v), κ = {kappa}, v = (1, {k})",
                    squared_cosine(worst_darts, hessian.inverse() @ worst_darts),
                    formulas.darts_cosine_floor(kappa) ** 2,
                ),
                (
                    f"cos²∠(Hv, H⁻¹v), κ = {kappa}, v = (1, 1)",
                    squared_cosine(hessian @ worst_amended, hessian.inverse() @ worst_amended),
                    formulas.amended_cosine_floor(kappa) ** 2,
                ),
            ]
        return sides

    def at_ten_thousand() -> Exhibit:
        kappa = Fraction(10**4)
        darts, amended = formulas.darts_cosine_floor(kappa), formulas.amended_cosine_floor(kappa)
        return Exhibit(
            {"κ": kappa, "DARTS": darts, "amended": amended},
            {"κ = 10⁴": kappa == 10**4},
            {
                "0.02 to two digits": abs(darts - Fraction("0.02")) < Fraction("0.0005"),
                "0.0002 to two digits": abs(amended - Fraction("0.0002")) < Fraction("0.000005"),
            },
        )

    def indefinite_hessian() -> Exhibit:
        hessian, slope = diagonal(1, -1), column(1, 2)
        behind = hessian.inverse() @ slope
        return Exhibit(
            {"H": hessian, "v": slope},
            {"Hv and H⁻¹v coincide: angle 0": hessian @ slope == behind},
            {"∠(v, H⁻¹v) < 90°": dot(slope, behind) > 0},
        )

    return Claim(
        id="T4",
        where="new",
        statement="∠(v, H⁻¹v) ≤ ∠(Hv, H⁻¹v), with equality iff v is an eigenvector. Worst "
        "cases: cos∠(v, H⁻¹v) ≥ 2√κ/(κ + 1), cos∠(Hv, H⁻¹v) ≥ 2κ/(κ² + 1), both tight.",
        assumptions="H ≻ 0",
        verdict=Verdict.HOLDS,
        because="m_k = vᵀHᵏv is log-convex in k, so m₋₁² m₂ ≥ m₀³; divide by m₀ m₂ m₋₂. The "
        "worst cases are Kantorovich's inequality for H and for H².",
        evidence=(
            PropertyTest("m₋₁² m₂ ≥ m₀³", instance, convexity),
            ExactIdentity("equality on eigenvectors; homogeneity", equal_on_eigenvectors),
            PropertyTest("DARTS's cosine is the larger", instance, nearer),
            PropertyTest("they are equal exactly for eigenvectors", instance, equality),
            PropertyTest("no cosine is below its floor", with_square_condition, floors),
            ExactIdentity("both floors are attained: the extremal v", tight),
            ExactExample("κ = 10⁴: 0.02 against 0.0002", at_ten_thousand),
            ExactCounterexample("H ≻ 0 dropped", indefinite_hessian),
        ),
        formula=r"m_{-1}^2\,m_2\geq m_0^3,\qquad "
        r"\cos\angle\geq\frac{2\sqrt{\kappa}}{\kappa+1}\ ,\ \frac{2\kappa}{\kappa^2+1}",
    )


def order_of_products(formulas: Formulas) -> Claim:
    """T4p: the same of products, for n = 2."""

    def cayley_hamilton() -> list[tuple[str, object, object]]:
        rng, sides = Random(2), list[tuple[str, object, object]]()
        for k in range(5):
            case = definite(rng, 2, 1)
            h, v = case.hessian, case.slope
            sides.append(
                (
                    f"Hv + det(H)·H⁻¹v = tr(H)·v, instance {k + 1}",
                    h @ v + h.determinant() * (h.inverse() @ v),
                    h.trace() * v,
                )
            )
        return sides

    def for_products() -> list[tuple[str, object, object]]:
        rng, sides = Random(5), list[tuple[str, object, object]]()
        for k in range(5):
            case = definite(rng, 2, 3)
            truth = formulas.implicit(case.hessian, case.mixed, case.slope)
            predicted = agreement(formulas, case) + case.hessian.determinant() * square(truth)
            darts = darts_agreement(formulas, case)
            sides.append((f"instance {k + 1}", case.hessian.trace() * darts, predicted))
        return sides

    def right(rng: Random) -> Instance | None:
        case = definite(rng, 2, 3)
        return case if agreement(formulas, case) > 0 else None

    def darts_right(case: Instance) -> Fraction:
        return darts_agreement(formulas, case)

    def pointwise() -> tuple[list[z3.BoolRef], z3.BoolRef]:
        """In the eigenbasis of H, v = Hq: amended right ⇒ DARTS right."""
        low, high = z3.Reals("low high")
        q, mixed = column(*z3.Reals("q1 q2")), matrix(z3.Reals("b1 b2"))
        hessian = matrix([low, z3.RealVal(0)], [z3.RealVal(0), high])
        slope = hessian @ q
        truth = -(mixed @ q)
        amended = dot(formulas.amended(hessian, mixed, slope, 1), truth)
        darts = dot(formulas.darts(mixed, slope, 1), truth)
        return [low > 0, high > 0, amended > 0], darts > 0

    def three_dimensions() -> Exhibit:
        hessian = matrix([5, -2, -2], [-2, 4, 1], [-2, 1, 2])
        mixed, slope = matrix([1, 2, 2]), column(-3, -2, 3)
        truth = formulas.implicit(hessian, mixed, slope)
        amended = dot(formulas.amended(hessian, mixed, slope, 1), truth)
        darts = dot(formulas.darts(mixed, slope, 1), truth)
        return Exhibit(
            {"H": hessian, "B": mixed, "v": slope, "amended": amended, "DARTS": darts},
            {"n = 3": hessian.shape == (3, 3), "amended right": amended > 0},
            {"DARTS right": darts > 0},
        )

    return Claim(
        id="T4p",
        where="new",
        statement="For n = 2, and any m, it is pointwise: ⟨g₂′, g₂⟩ > 0 ⇒ DARTS's product is "
        "positive too.",
        assumptions="H ≻ 0, n = 2",
        verdict=Verdict.HOLDS,
        because="Cayley–Hamilton: tr(H)⟨Bv, BH⁻¹v⟩ = ⟨BHv, BH⁻¹v⟩ + det(H)‖BH⁻¹v‖². For "
        "n = 3 it fails.",
        evidence=(
            ExactIdentity("Cayley–Hamilton", cayley_hamilton),
            SmtProof("n = 2, m = 1", pointwise),
            ExactIdentity("its consequence for the products, n = 2, m = 3", for_products),
            PropertyTest("amended right ⇒ DARTS right, n = 2, m = 3", right, darts_right),
            ExactCounterexample("n = 3: amended right, DARTS wrong", three_dimensions),
        ),
        formula=r"Hv+\det(H)\,H^{-1}v=\mathrm{tr}(H)\,v",
    )
